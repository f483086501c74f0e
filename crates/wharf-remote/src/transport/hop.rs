//! One request and its answer: no redirect is followed here.

use std::time::Instant;

use futures::StreamExt;
use http::header::CONTENT_LENGTH;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, StatusCode};
use url::{Position, Url};

use super::activity::Activity;
use super::body::{Body, Rest, split};
use super::broken::{self, Broken, Failed};
use super::clients::Speaker;
use super::follow::authority;
use super::http::Transport;
use super::request::Head;
use super::verbatim::verbatim;
use super::{failure, proxy_failure, trace};
use wharf_core::{Error, ErrorKind, Result};

/// The most bytes of an answer's headers (wire.md section 11, rule 5). The HTTP client itself reads
/// at most 100 headers and some 400 KiB.
const HEADERS: usize = 64 * 1024;

/// The connection that a request is sent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// One that is open, or else a new one.
    Any,
    /// A new one. Through a proxy it may be an open one.
    New,
}

impl Transport {
    /// A request and its answer, and what is needed to send its body again. If its connection turns
    /// out to be stale, it is sent once more on a new one (wire.md R8).
    pub(super) async fn hop(
        &self,
        head: &Head,
        body: Body,
    ) -> Result<(reqwest::Response, Rest), Failed> {
        let (carried, rest) = split(body);
        // What may not be sent twice is not sent where that may be needed.
        let line = match head.may_be_repeated() || !self.clients.breaks_reused(&head.url) {
            true => Line::Any,
            false => Line::New,
        };
        let answer = match self.on_line(head, carried, line).await {
            Err(Failed::Stale(error)) => match rest.clone().renew().await {
                Ok(carried) => self.on_line(head, carried, Line::New).await,
                Err(_) => Err(Failed::Exchange(error)),
            },
            answer => answer,
        };
        answer.map(|response| (response, rest))
    }

    /// One request and its answer, counted and written to the log.
    async fn on_line(
        &self,
        head: &Head,
        body: Body,
        line: Line,
    ) -> Result<reqwest::Response, Failed> {
        trace::asked(head, &body);
        self.counts.add(head.class);
        let started = Instant::now();
        let answer = self.exchanged(head, body, line).await;
        match &answer {
            Ok(response) => trace::answered(head, response, started),
            Err(Failed::Exchange(error) | Failed::Stale(error)) => {
                // No host was there to be asked.
                if matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Untrusted) {
                    self.counts.take_back(head.class);
                }
                trace::unanswered(head, error, started);
            }
            Err(Failed::Source(error)) => trace::unsent(error),
        }
        answer
    }

    async fn exchanged(
        &self,
        head: &Head,
        body: Body,
        line: Line,
    ) -> Result<reqwest::Response, Failed> {
        let client = self.client(&head.url).await.map_err(Failed::Exchange)?;
        let activity = Activity::new();
        let builder = client
            .http
            .request(head.method.clone(), head.url.clone())
            .headers(head.headers.clone());
        let builder = with_body(builder, &head.method, body, &activity);
        let sent = tokio::select! {
            sent = self.send(builder, &client, &head.url, line) => sent,
            error = activity.stalled(self.limits(head.wait)) => {
                return Err(Failed::Exchange(error));
            }
        };
        let response = sent.map_err(|unsent| match activity.take_source_error() {
            Some(error) => Failed::Source(error),
            None if line == Line::Any && self.is_stale(unsent.broken, head, &activity) => {
                Failed::Stale(unsent.error)
            }
            None => Failed::Exchange(unsent.error),
        })?;
        self.clients.heard(&client, &head.url, &response);
        self.checked(&head.url, &activity, response)
            .map_err(Failed::Exchange)
    }

    /// An answer, unless it is to be taken for none.
    fn checked(
        &self,
        url: &Url,
        activity: &Activity,
        response: reqwest::Response,
    ) -> Result<reqwest::Response> {
        let headers = length(response.headers());
        if headers > HEADERS {
            let message = format!("answered with {headers} bytes of headers, more than {HEADERS}");
            return Err(Error::new(ErrorKind::Rejected, message));
        }
        if response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED
            && let Some(proxy) = self.clients.settings().proxies.proxy_for(url)
        {
            return Err(proxy_failure::wants_credentials(proxy));
        }
        // The rest of the body is not watched after the answer.
        if response.status().is_success() && !activity.is_sent() {
            let status = response.status();
            let message = format!("answered {status} before it had the whole request");
            return Err(Error::new(ErrorKind::Interrupted, message));
        }
        Ok(response)
    }

    /// Whether a request may be sent again as if it never was, after its connection broke so.
    fn is_stale(&self, broken: Option<Broken>, head: &Head, activity: &Activity) -> bool {
        match broken {
            None => false,
            Some(Broken::Unwritten) => true,
            Some(Broken::Unanswered(ends)) => {
                let reused = ends.is_some_and(|ends| self.clients.has_answered_on(ends));
                if reused {
                    self.clients.broke_reused(&head.url);
                }
                reused && (head.may_be_repeated() || activity.is_untouched())
            }
        }
    }

    /// Sends a request, with the target of its URL as it came. A proxy gets the URL's.
    async fn send(
        &self,
        builder: reqwest::RequestBuilder,
        client: &Speaker,
        url: &Url,
        line: Line,
    ) -> Result<reqwest::Response, Unsent> {
        let explain = |error: reqwest::Error| Unsent {
            broken: broken::broken(&error),
            error: self.explain(&error, client, url),
        };
        let settings = self.clients.settings();
        let target = match (settings.proxies.proxy_for(url), line) {
            (Some(_), _) => None,
            (None, Line::Any) => verbatim(url),
            (None, Line::New) => verbatim(url).or_else(|| target(url)),
        };
        let Some(target) = target else {
            return builder.send().await.map_err(explain);
        };
        let direct = client.direct(settings, self.timeouts.connect);
        let sent = direct.send(builder.build().map_err(explain)?, target).await;
        sent.map_err(|error| {
            let missed = client.is_missed_at(url);
            let error = failure::explain_direct(&error, &authority(url), missed);
            Unsent {
                broken: None,
                error: self.retried_if_heard(error, url),
            }
        })
    }
}

/// The path and query of a URL.
fn target(url: &Url) -> Option<PathAndQuery> {
    url[Position::BeforePath..Position::AfterQuery].parse().ok()
}

/// The error of a request, and of its connection.
struct Unsent {
    error: Error,
    broken: Option<Broken>,
}

/// The request with its body, watched by `activity`.
fn with_body(
    builder: reqwest::RequestBuilder,
    method: &Method,
    body: Body,
    activity: &Activity,
) -> reqwest::RequestBuilder {
    let (stream, length) = match body {
        Body::Stream(payload) => (payload.stream, payload.length),
        Body::Bytes(bytes) if !bytes.is_empty() => {
            let length = bytes.len() as u64;
            let whole = futures::stream::once(async { Ok(bytes) });
            (whole.boxed(), Some(length))
        }
        Body::Empty | Body::Bytes(_) => {
            let builder = builder.body(reqwest::Body::wrap(activity.nothing()));
            return match *method {
                Method::GET | Method::HEAD => builder,
                _ => builder.header(CONTENT_LENGTH, 0),
            };
        }
    };
    let builder = match length {
        Some(length) => builder.header(CONTENT_LENGTH, length),
        None => builder,
    };
    builder.body(reqwest::Body::wrap_stream(activity.watch(stream, length)))
}

fn length(headers: &HeaderMap) -> usize {
    let lengths = headers.iter();
    lengths
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum()
}
