//! What a request that got no answer means: which kind of error, in whose words.

use std::error::Error as StdError;
use std::io::ErrorKind as Io;

use crate::{Error, ErrorKind};

/// Turns a client error into ours. `authority` is the host and port that was asked.
pub(super) fn explain(error: &reqwest::Error, authority: &str) -> Error {
    let kind = kind(error);
    let why = innermost(error);
    let message = match kind {
        ErrorKind::Unreachable => format!("cannot connect to {authority}: {why}"),
        ErrorKind::Timeout => format!("{authority} does not answer: {why}"),
        ErrorKind::Invalid => why,
        _ => format!("connection to {authority} broke: {why}"),
    };
    Error::new(kind, message)
}

fn kind(error: &reqwest::Error) -> ErrorKind {
    if error.is_builder() {
        return ErrorKind::Invalid;
    }
    if error.is_timeout() {
        return ErrorKind::Timeout;
    }
    if distrusts(error) {
        return ErrorKind::Unreachable;
    }
    match io_kind(error) {
        Some(Io::ConnectionReset | Io::ConnectionAborted | Io::BrokenPipe | Io::UnexpectedEof) => {
            ErrorKind::Interrupted
        }
        Some(Io::TimedOut) => ErrorKind::Timeout,
        _ if error.is_connect() => ErrorKind::Unreachable,
        _ => ErrorKind::Interrupted,
    }
}

/// Whether the peer speaks TLS but shows a certificate we do not trust.
pub(super) fn distrusts(error: &(dyn StdError + 'static)) -> bool {
    chain(error).any(|cause| {
        let inner = cause
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        let inner = inner
            .map(|inner| inner as &(dyn StdError + 'static))
            .unwrap_or(cause);
        matches!(
            inner.downcast_ref::<rustls::Error>(),
            Some(rustls::Error::InvalidCertificate(_))
        )
    })
}

fn io_kind(error: &(dyn StdError + 'static)) -> Option<Io> {
    chain(error)
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .map(std::io::Error::kind)
        .last()
}

/// The cause at the bottom, in its own words: what the layers above it add helps nobody.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    let Some(bottom) = chain(error).last() else {
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

fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}
