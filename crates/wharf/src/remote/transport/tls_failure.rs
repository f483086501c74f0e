//! What goes wrong with TLS, in words: whose certificate is not good, and why.

use std::error::Error as StdError;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error as Tls, InvalidMessage};

use super::failure::chain;
use super::trust::is_authority;
use crate::ErrorKind;

/// Names of a certificate that are listed.
const NAMES: usize = 5;

/// What TLS is about in `error`, if it is about TLS: its kind, and what to say. `missed`: the
/// peer, or another that the same client talked to, asked for a client certificate in vain.
pub(super) fn explain(
    error: &(dyn StdError + 'static),
    missed: bool,
) -> Option<(ErrorKind, String)> {
    let error = chain(error).find_map(|cause| cause.downcast_ref::<Tls>())?;
    match error {
        error if is_authority(error) => {
            let why = "its certificate is signed by itself, and is not trusted here".to_owned();
            Some((ErrorKind::Untrusted, why))
        }
        Tls::InvalidCertificate(error) => Some((ErrorKind::Untrusted, certificate(error))),
        Tls::AlertReceived(alert) => Some(alerted(*alert, missed)),
        Tls::PeerIncompatible(_) => {
            let why = "it speaks no TLS that is safe: 1.2 or newer is needed".to_owned();
            Some((ErrorKind::Untrusted, why))
        }
        // Said by our own verifier.
        Tls::General(why) => Some((ErrorKind::Untrusted, why.clone())),
        Tls::InvalidMessage(InvalidMessage::InvalidContentType) => {
            let why = "it does not speak TLS; it may speak plain http".to_owned();
            Some((ErrorKind::Unreachable, why))
        }
        _ => None,
    }
}

fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => {
            "its certificate is signed by nobody that is trusted here".to_owned()
        }
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("its certificate expired{}", on(*not_after))
        }
        CertificateError::Expired => "its certificate has expired".to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("its certificate is not good before{}", on(*not_before))
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            format!(
                "its certificate is not for this name but {}",
                names(presented)
            )
        }
        CertificateError::NotValidForName => "its certificate is not for this name".to_owned(),
        CertificateError::Revoked => "its certificate was revoked".to_owned(),
        CertificateError::BadEncoding => "its certificate cannot be understood".to_owned(),
        error => format!("its certificate is not good: {error}"),
    }
}

/// A day in front of which a word stands, if it is one that there is.
fn on(time: UnixTime) -> String {
    let moment = SignedDuration::try_from(Duration::from_secs(time.as_secs()));
    let moment = moment.and_then(Timestamp::from_duration);
    match moment {
        Ok(moment) => format!(" {}", moment.strftime("%Y-%m-%d %H:%M UTC")),
        Err(_) => String::new(),
    }
}

/// The names of a certificate, as its parser lists them: `DnsName("a.example")`.
fn names(presented: &[String]) -> String {
    let bare = |name: &String| {
        let inner = name
            .split_once('(')
            .and_then(|(_, rest)| rest.strip_suffix(')'));
        inner.unwrap_or(name).trim_matches('"').to_owned()
    };
    let mut names: Vec<String> = presented.iter().take(NAMES).map(bare).collect();
    if presented.len() > NAMES {
        names.push(format!("{} more", presented.len() - NAMES));
    }
    match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    }
}

fn alerted(alert: AlertDescription, missed: bool) -> (ErrorKind, String) {
    let wanted = (
        ErrorKind::Unauthorized,
        "it wants a client certificate".to_owned(),
    );
    match alert {
        AlertDescription::CertificateRequired => wanted,
        // What servers of older TLS say, and some of newer.
        AlertDescription::BadCertificate | AlertDescription::HandshakeFailure if missed => wanted,
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => {
            let why = format!("it does not take the client certificate: {}", words(alert));
            (ErrorKind::Unauthorized, why)
        }
        alert => {
            let why = format!("it does not agree on TLS with us: {}", words(alert));
            (ErrorKind::Untrusted, why)
        }
    }
}

/// `HandshakeFailure` as "handshake failure".
fn words(alert: AlertDescription) -> String {
    let mut words = String::new();
    let name = format!("{alert:?}");
    let mut before_was_lower = false;
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && before_was_lower {
            words.push(' ');
        }
        before_was_lower = letter.is_ascii_lowercase();
        words.push(letter.to_ascii_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_told_in_words() {
        let told = |alert, missed| alerted(alert, missed).1;
        let wanted = "it wants a client certificate";
        assert_eq!(told(AlertDescription::CertificateRequired, false), wanted);
        assert_eq!(told(AlertDescription::HandshakeFailure, true), wanted);
        assert_eq!(
            told(AlertDescription::UnknownCA, false),
            "it does not take the client certificate: unknown ca"
        );
        assert_eq!(
            told(AlertDescription::HandshakeFailure, false),
            "it does not agree on TLS with us: handshake failure"
        );
    }

    #[test]
    fn names_are_listed_as_they_are_written_and_not_without_end() {
        assert_eq!(names(&[]), "none");
        let two = ["DnsName(\"*.a.example\")", "IpAddress(10.0.0.1)"].map(str::to_owned);
        assert_eq!(names(&two), "*.a.example, 10.0.0.1");
        let many = vec![two[0].clone(); 9];
        assert!(names(&many).ends_with("*.a.example, 4 more"));
    }
}
