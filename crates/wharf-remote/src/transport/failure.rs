//! The error of a request without an answer: its kind and text.

use std::error::Error as StdError;
use std::io::ErrorKind as Io;

use super::causes::causes;
use super::direct::NoAnswer;
use super::dns::{NearAddress, UnknownName};
use super::near::is_loopback_as_written;
use super::redact::SafeUrl;
use super::tls_failure;
use url::Url;
use wharf_core::{Error, ErrorKind, Unreached};

/// Converts an error of the HTTP client. `authority` is the host and port of the request; `missed`
/// says whether the host asked for a client certificate and got none.
pub(super) fn explain(error: &reqwest::Error, authority: &str, missed: bool) -> Error {
    explain_as(error, kind(error), error.url(), authority, missed)
}

/// The same for a connection without the HTTP client.
pub(super) fn explain_direct(error: &NoAnswer, authority: &str, missed: bool) -> Error {
    let (error, is_connect) = match error {
        NoAnswer::Connect(error) => (error, true),
        NoAnswer::Exchange(error) => (error, false),
    };
    let error: &(dyn StdError + 'static) = error.as_ref();
    let kind = by_cause(error, is_connect);
    explain_as(error, kind, None, authority, missed)
}

fn explain_as(
    error: &(dyn StdError + 'static),
    kind: ErrorKind,
    url: Option<&Url>,
    authority: &str,
    missed: bool,
) -> Error {
    if let Some(near) = causes(error).find_map(|cause| cause.downcast_ref::<NearAddress>()) {
        return near.refused();
    }
    if let Some(told) = tls_failure::explain(error, missed) {
        return told.error(&format!("cannot connect to {authority}: "));
    }
    if let Some(babble) = babble(error) {
        // A stray answer without a request may have arrived before ours.
        let transient = babble == Babble::Unasked;
        let why = match babble {
            Babble::Other | Babble::Unasked => "not in HTTP".to_owned(),
            Babble::Endless => {
                format!("with a head above the limit: {HEADERS} headers, some 400 KiB")
            }
            Babble::Malformed(what) => format!("malformed: {what}"),
        };
        let message = format!("{authority} answers, but {why}");
        return Error::new(ErrorKind::Rejected, message).transient(transient);
    }
    let unreached = unreached(error, authority);
    let mut why = innermost(error);
    if let Some(url) = url {
        why = why.replace(url.as_str(), &SafeUrl(url).to_string());
    }
    let message = match kind {
        ErrorKind::Unreachable => format!("cannot connect to {authority}: {why}"),
        ErrorKind::Timeout => format!("{authority} does not answer: {why}"),
        ErrorKind::Invalid => why,
        // The refusal may be lost when the host closes the connection at once.
        _ if missed => {
            format!("connection to {authority} broke: {why}; it may require a client certificate")
        }
        _ => format!("connection to {authority} broke: {why}"),
    };
    Error::new(kind, message).not_reached(unreached)
}

/// Why the host was not reached, if that is known.
fn unreached(error: &(dyn StdError + 'static), authority: &str) -> Option<Unreached> {
    if causes(error).any(|cause| cause.is::<UnknownName>()) {
        return Some(Unreached::UnknownName);
    }
    let host = authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host);
    let refused = io_kind(error) == Some(Io::ConnectionRefused);
    (refused && is_loopback_as_written(host.trim_matches(['[', ']'])))
        .then_some(Unreached::NoListenerHere)
}

/// The most headers of an answer that the HTTP client reads.
const HEADERS: usize = 100;

/// The HTTP client's text for an answer that does not begin like HTTP/1. Only the text
/// distinguishes it from later errors.
const OTHER: &str = "invalid HTTP version parsed";

/// An answer that is not HTTP, or malformed HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Babble {
    /// Another protocol, in answer to a request.
    Other,
    /// Bytes without a request.
    Unasked,
    /// HTTP with an endless status line or headers.
    Endless,
    /// Malformed HTTP, with the reason.
    Malformed(String),
}

/// Whether the peer speaks another protocol, or malformed HTTP.
fn babble(error: &(dyn StdError + 'static)) -> Option<Babble> {
    // A request that was not yet written is cancelled, and the reason lies below that.
    let errors = causes(error).filter_map(|cause| cause.downcast_ref::<hyper::Error>());
    let error = errors.last()?;
    // The only error without a cause that no method identifies.
    let named = error.is_incomplete_message()
        || error.is_canceled()
        || error.is_closed()
        || error.is_user()
        || error.is_timeout();
    match (error.is_parse(), named || error.source().is_some()) {
        (true, _) if error.is_parse_too_large() => Some(Babble::Endless),
        (true, _) => Some(match error.to_string() {
            text if text == OTHER => Babble::Other,
            text => Babble::Malformed(text.trim_end_matches(" parsed").to_owned()),
        }),
        (false, false) => Some(Babble::Unasked),
        (false, true) => None,
    }
}

pub(super) fn kind(error: &reqwest::Error) -> ErrorKind {
    if error.is_builder() {
        return ErrorKind::Invalid;
    }
    if error.is_timeout() {
        return ErrorKind::Timeout;
    }
    by_cause(error, error.is_connect())
}

fn by_cause(error: &(dyn StdError + 'static), is_connect: bool) -> ErrorKind {
    match io_kind(error) {
        Some(Io::ConnectionReset | Io::ConnectionAborted | Io::BrokenPipe | Io::UnexpectedEof) => {
            ErrorKind::Interrupted
        }
        Some(Io::TimedOut) => ErrorKind::Timeout,
        _ if is_connect => ErrorKind::Unreachable,
        _ => ErrorKind::Interrupted,
    }
}

/// Whether the peer speaks TLS but the handshake failed: its certificate is not trusted, or it
/// refuses ours.
pub(super) fn distrusts(error: &(dyn StdError + 'static)) -> bool {
    let explained = tls_failure::explain(error, false);
    explained.is_some_and(|told| told.kind != ErrorKind::Unreachable)
}

fn io_kind(error: &(dyn StdError + 'static)) -> Option<Io> {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .map(std::io::Error::kind)
        .last()
}

/// The text of the innermost cause: the layers above it add nothing useful.
pub(super) fn innermost(error: &(dyn StdError + 'static)) -> String {
    let Some(bottom) = causes(error).last() else {
        return error.to_string();
    };
    match bottom.downcast_ref::<std::io::Error>() {
        Some(io) if io.raw_os_error().is_some() => {
            let code = io.raw_os_error().unwrap_or_default();
            Error::from(std::io::Error::from_raw_os_error(code)).to_string()
        }
        _ => bottom.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a3_a_bad_certificate_is_found_however_deep_it_is_wrapped() {
        let bad = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let wrapped = std::io::Error::other(std::io::Error::other(bad));
        assert!(distrusts(&wrapped));
        let no_tls = rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType);
        assert!(!distrusts(&std::io::Error::other(no_tls)));
    }
}
