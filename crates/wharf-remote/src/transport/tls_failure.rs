//! Explains TLS errors: which certificate is not valid, and why.

use std::error::Error as StdError;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error as Tls, InvalidMessage};

use super::causes::causes;
use super::trust::is_authority;
use wharf_core::{Distrust, Error, ErrorKind};

/// The most names of a certificate in a message.
const NAMES: usize = 5;

/// The explanation of a TLS error.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) kind: ErrorKind,
    pub(super) why: String,
    distrust: Option<Distrust>,
}

impl Told {
    fn new(kind: ErrorKind, why: impl Into<String>) -> Self {
        Told {
            kind,
            why: why.into(),
            distrust: None,
        }
    }

    fn untrusted(distrust: Distrust, why: impl Into<String>) -> Self {
        Told {
            distrust: Some(distrust),
            ..Told::new(ErrorKind::Untrusted, why)
        }
    }

    /// The error; its line begins with `start`.
    pub(super) fn error(self, start: &str) -> Error {
        Error::new(self.kind, format!("{start}{}", self.why)).distrusted(self.distrust)
    }
}

/// The explanation of `error`, if it is about TLS. `missed`: the peer, or another host of the same
/// client, asked for a client certificate and got none.
pub(super) fn explain(error: &(dyn StdError + 'static), missed: bool) -> Option<Told> {
    let error = causes(error).find_map(|cause| cause.downcast_ref::<Tls>())?;
    Some(match error {
        error if is_authority(error) => Told::untrusted(
            Distrust::Issuer,
            "its certificate is self-signed and not trusted",
        ),
        Tls::InvalidCertificate(error) => Told::untrusted(distrust(error), certificate(error)),
        Tls::AlertReceived(alert) => alerted(*alert, missed),
        Tls::PeerIncompatible(_) => Told::untrusted(
            Distrust::Terms,
            "it supports no safe version of TLS: 1.2 or newer is required",
        ),
        // From our own verifier.
        Tls::General(why) => Told::untrusted(Distrust::Certificate, why),
        Tls::InvalidMessage(InvalidMessage::InvalidContentType) => Told::new(
            ErrorKind::Unreachable,
            "it does not speak TLS; it may speak plain http",
        ),
        _ => return None,
    })
}

fn distrust(error: &CertificateError) -> Distrust {
    match error {
        CertificateError::UnknownIssuer => Distrust::Issuer,
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => Distrust::Dates,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Distrust::Name
        }
        _ => Distrust::Certificate,
    }
}

fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => {
            "its certificate is signed by an issuer that is not trusted".to_owned()
        }
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("its certificate expired{}", on(*not_after))
        }
        CertificateError::Expired => "its certificate has expired".to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("its certificate is not valid before{}", on(*not_before))
        }
        CertificateError::NotValidForNameContext { presented, .. } => match names(presented) {
            Some(names) => format!("its certificate is not for this name but {names}"),
            None => "its certificate has no name in it".to_owned(),
        },
        CertificateError::NotValidForName => "its certificate is not for this name".to_owned(),
        CertificateError::Revoked => "its certificate was revoked".to_owned(),
        CertificateError::BadEncoding => "its certificate cannot be parsed".to_owned(),
        error => format!("its certificate is not valid: {error}"),
    }
}

/// " on" and the day, if the time is valid.
fn on(time: UnixTime) -> String {
    let moment = SignedDuration::try_from(Duration::from_secs(time.as_secs()));
    let moment = moment.and_then(Timestamp::from_duration);
    match moment {
        Ok(moment) => format!(" {}", moment.strftime("%Y-%m-%d %H:%M UTC")),
        Err(_) => String::new(),
    }
}

/// The names of a certificate, which the parser formats as `DnsName("a.example")`; `None`: it has
/// none.
fn names(presented: &[String]) -> Option<String> {
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
    (!names.is_empty()).then(|| names.join(", "))
}

fn alerted(alert: AlertDescription, missed: bool) -> Told {
    let wanted = || Told::new(ErrorKind::Unauthorized, "it wants a client certificate");
    match alert {
        AlertDescription::CertificateRequired => wanted(),
        // Sent by servers with older TLS, and some with newer.
        AlertDescription::BadCertificate | AlertDescription::HandshakeFailure if missed => wanted(),
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => {
            let why = format!("it does not take the client certificate: {}", words(alert));
            Told::new(ErrorKind::Unauthorized, why)
        }
        alert => {
            let why = format!("it does not agree on TLS with us: {}", words(alert));
            Told::untrusted(Distrust::Terms, why)
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
        let told = |alert, missed| alerted(alert, missed).why;
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
        assert_eq!(names(&[]), None);
        let two = ["DnsName(\"*.a.example\")", "IpAddress(10.0.0.1)"].map(str::to_owned);
        assert_eq!(names(&two).as_deref(), Some("*.a.example, 10.0.0.1"));
        let many = vec![two[0].clone(); 9];
        assert!(names(&many).unwrap().ends_with("*.a.example, 4 more"));
    }

    #[test]
    fn what_is_distrusted_is_told_from_what_is_not_agreed_on() {
        let day = UnixTime::since_unix_epoch(Duration::from_secs(1));
        let presented = vec!["DnsName(\"a.example\")".to_owned()];
        let (time, not_after, not_before) = (day, day, day);
        let expected = rustls::pki_types::ServerName::try_from("b.example").unwrap();
        let bad = |error| explain(&Tls::InvalidCertificate(error), false).unwrap();
        for (error, distrust) in [
            (CertificateError::UnknownIssuer, Distrust::Issuer),
            (
                CertificateError::ExpiredContext { time, not_after },
                Distrust::Dates,
            ),
            (
                CertificateError::NotValidYetContext { time, not_before },
                Distrust::Dates,
            ),
            (
                CertificateError::NotValidForNameContext {
                    expected: expected.clone(),
                    presented,
                },
                Distrust::Name,
            ),
            (CertificateError::Revoked, Distrust::Certificate),
        ] {
            assert_eq!(bad(error).distrust, Some(distrust));
        }
        let presented = Vec::new();
        let nobody = bad(CertificateError::NotValidForNameContext {
            expected,
            presented,
        });
        assert_eq!(
            nobody.error("r: ").to_string(),
            "r: its certificate has no name in it"
        );
        let alert = |alert| explain(&Tls::AlertReceived(alert), false).unwrap();
        let old = alert(AlertDescription::ProtocolVersion);
        assert_eq!(old.error("").distrust(), Some(Distrust::Terms));
        assert_eq!(alert(AlertDescription::UnknownCA).distrust, None);
    }
}
