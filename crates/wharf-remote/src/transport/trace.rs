//! Logs each exchange: request and answer, without secrets (wire.md P3).

use std::time::Instant;

use http::StatusCode;
use tracing::{Level, debug, enabled, info, trace};
use url::Url;

use super::body::Body;
use super::redact::{Excerpt, SafeHeaders, SafeUrl, Show};
use super::request::Head;
use wharf_core::Error;

/// Logs the answer to a probe.
pub(super) fn probed(url: &Url, status: StatusCode) {
    info!(url = %SafeUrl(url), status = status.as_u16(), "host answered");
}

/// Whether the body of an answer may be shown.
pub(super) fn show(response: &reqwest::Response) -> Show {
    Show::of(response.headers(), Some(response.status().as_u16()))
}

/// Logs a body, `of` a request or an answer.
pub(super) fn body(show: Show, of: &str, bytes: &[u8]) {
    if show == Show::Document && !bytes.is_empty() && enabled!(Level::TRACE) {
        trace!("{of}: {}", Excerpt(bytes));
    }
}

/// Logs a request.
pub(super) fn asked(head: &Head, content: &Body) {
    let (method, url) = (&head.method, SafeUrl(&head.url));
    let headers = SafeHeaders {
        headers: &head.headers,
        url: &head.url,
    };
    debug!(%method, %url, body = ?content, %headers, "request");
    if let Body::Bytes(bytes) = content {
        body(Show::of(&head.headers, None), "request", bytes);
    }
}

/// Logs its answer.
pub(super) fn answered(head: &Head, response: &reqwest::Response, started: Instant) {
    let (method, url) = (&head.method, SafeUrl(&head.url));
    let headers = SafeHeaders {
        headers: response.headers(),
        url: &head.url,
    };
    let (status, ms) = (response.status().as_u16(), milliseconds(started));
    debug!(%method, %url, status, ms, %headers, "answer");
}

/// Logs that no answer arrived.
pub(super) fn unanswered(head: &Head, error: &Error, started: Instant) {
    let (method, url) = (&head.method, SafeUrl(&head.url));
    debug!(%method, %url, ms = milliseconds(started), %error, "no answer");
}

/// Logs that the body's source failed.
pub(super) fn unsent(error: &Error) {
    debug!(%error, "the source failed while it was sent");
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
