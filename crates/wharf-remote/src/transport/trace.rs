//! Every exchange, counted and written to the log: what was asked and answered, and nothing
//! that is a secret (wire.md P3, P4).

use std::time::Instant;

use http::StatusCode;
use tracing::{Level, debug, enabled, trace};
use url::Url;

use super::body::Body;
use super::http::{Failed, Transport};
use super::redact::{Excerpt, SafeHeaders, SafeUrl, Show};
use super::request::Head;
use wharf_core::ErrorKind;

impl Transport {
    /// Makes one exchange; what it is about goes to the log at level debug, documents at trace.
    pub(super) async fn observed(
        &self,
        head: &Head,
        body: Body,
    ) -> Result<reqwest::Response, Failed> {
        asked(head, &body);
        self.counts().add(head.class);
        let started = Instant::now();
        let answer = self.exchange(head, body).await;
        match &answer {
            Ok(response) => answered(head, response, started),
            Err(Failed::Exchange(error)) => {
                // Nobody was there to be asked.
                if matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Untrusted) {
                    self.counts().take_back(head.class);
                }
                let (method, url) = (&head.method, SafeUrl(&head.url));
                debug!(%method, %url, ms = milliseconds(started), %error, "no answer");
            }
            Err(Failed::Source(error)) => debug!(%error, "the source failed while it was sent"),
        }
        answer
    }
}

/// Notes the answer to a question whether anybody is there.
pub(super) fn probed(url: &Url, status: StatusCode) {
    debug!(url = %SafeUrl(url), status = status.as_u16(), "somebody is there");
}

/// What may be shown of the body of an answer.
pub(super) fn show(response: &reqwest::Response) -> Show {
    Show::of(response.headers(), Some(response.status().as_u16()))
}

/// Notes a body, `of` a request or an answer.
pub(super) fn body(show: Show, of: &str, bytes: &[u8]) {
    if show == Show::Document && !bytes.is_empty() && enabled!(Level::TRACE) {
        trace!("{of}: {}", Excerpt(bytes));
    }
}

fn asked(head: &Head, content: &Body) {
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

fn answered(head: &Head, response: &reqwest::Response, started: Instant) {
    let (method, url) = (&head.method, SafeUrl(&head.url));
    let headers = SafeHeaders {
        headers: response.headers(),
        url: &head.url,
    };
    let (status, ms) = (response.status().as_u16(), milliseconds(started));
    debug!(%method, %url, status, ms, %headers, "answer");
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
