//! Sends requests, with a limit on every wait. Follows redirects and makes bodies again for them.

use std::sync::Arc;
use std::time::Instant;

use http::uri::PathAndQuery;
use http::{HeaderMap, StatusCode};
use url::{Position, Url};
use wharf_oci::Registry;

use super::activity::{Activity, WaitLimits};
use super::body::{Body, Rest, split, with_body};
use super::broken::{self, Broken, Failed};
use super::clients::{Clients, Settings, Speaker};
use super::counts::{Counts, RequestClass};
use super::follow::{authority, elsewhere, redirect, same_origin, uncovered};
use super::request::{Cover, Head, Redirects, Request, Wait};
use super::response::Response;
use super::timeouts::Timeouts;
use super::verbatim::{follow_verbatim, verbatim};
use super::{failure, proxy_failure, trace};
use crate::tls::Authority;
use wharf_core::{Error, ErrorKind, Result};

/// The most redirects of a request (wire.md section 11, rule 2).
const REDIRECTS: usize = 10;

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

/// Sends requests to all hosts. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Transport {
    pub(super) clients: Arc<Clients>,
    /// The registry that requests are made for.
    registry: Option<Authority>,
    pub(super) timeouts: Timeouts,
    pub(super) counts: Arc<Counts>,
}

impl Transport {
    pub(crate) fn new(settings: Settings, timeouts: Timeouts) -> Self {
        let timeouts = timeouts.clamped();
        Transport {
            clients: Arc::new(Clients::new(settings, timeouts.connect)),
            registry: None,
            timeouts,
            counts: Arc::default(),
        }
    }

    /// The same for requests on behalf of `registry`, to itself and to hosts it redirects to.
    pub(crate) fn on_behalf_of(&self, registry: &Registry) -> Self {
        Transport {
            registry: Some(Authority::of_registry(registry)),
            ..self.clone()
        }
    }

    /// The same with its own connections and settings, and shared counts.
    pub(crate) fn changed(&self, change: impl FnOnce(&mut Settings, &mut Timeouts)) -> Self {
        let (mut settings, mut timeouts) = (self.clients.settings().clone(), self.timeouts);
        change(&mut settings, &mut timeouts);
        let timeouts = timeouts.clamped();
        Transport {
            clients: Arc::new(Clients::new(settings, timeouts.connect)),
            timeouts,
            ..self.clone()
        }
    }

    /// How many requests were sent so far.
    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Sends a request and waits for the headers of the answer, whatever its status.
    ///
    /// # Errors
    /// If no answer arrived; the error of the body's source, if that failed.
    pub(crate) async fn exchange(&self, request: Request) -> Result<Response> {
        let Request { mut head, mut body } = request;
        let endpoint = format!("{} {}", head.method, head.url.path());
        let asked = head.url.clone();
        let sent_secrets = head.sent_secrets.with(&head.headers);
        for _ in 0..=REDIRECTS {
            if head.cover == Cover::Tls && head.url.scheme() != "https" {
                return Err(uncovered(&head.url).target(endpoint));
            }
            let hop = self.hop(&head, body).await;
            let (response, rest) = hop.map_err(|error| match error {
                Failed::Source(error) => error,
                Failed::Exchange(error) | Failed::Stale(error) => {
                    self.about(head.class, &asked, error).target(&endpoint)
                }
            })?;
            let Some(next) = redirect(&head.method, &response) else {
                let idle = self.timeouts.idle;
                return Ok(Response {
                    url: head.url,
                    endpoint,
                    asked: head.class.asked(),
                    response,
                    idle,
                    sent_secrets,
                    refusal: None,
                });
            };
            let next =
                follow_verbatim(&head.url, &next).map_err(|error| error.target(&endpoint))?;
            if !same_origin(&asked, &next) {
                // Another origin gets no credentials (wire.md section 11, rule 2).
                head.forget_secrets();
                if head.reach == Redirects::Origin {
                    return Err(elsewhere(&next).target(endpoint));
                }
            }
            head.url = next;
            body = rest
                .renew()
                .await
                .map_err(|error| error.target(&endpoint))?;
        }
        Err(Error::new(
            ErrorKind::Refused,
            format!("more than {REDIRECTS} redirects"),
        )
        .target(endpoint))
    }

    /// A request and its answer, and what is needed to send its body again. If its connection turns
    /// out to be stale, it is sent once more on a new one (wire.md R8).
    async fn hop(&self, head: &Head, body: Body) -> Result<(reqwest::Response, Rest), Failed> {
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

    pub(super) fn explain(&self, error: &reqwest::Error, client: &Speaker, url: &Url) -> Error {
        let missed = client.is_missed_at(url);
        let proxy = self.clients.settings().proxies.proxy_for(url);
        let by_proxy = proxy.and_then(|proxy| proxy_failure::explain(error, proxy, url));
        let error = by_proxy.unwrap_or_else(|| failure::explain(error, &authority(url), missed));
        self.retried_if_heard(error, url)
    }

    pub(super) fn retried_if_heard(&self, error: Error, url: &Url) -> Error {
        // A host that answered before may be restarting; one that never answered is not retried.
        match error.kind() == ErrorKind::Unreachable && self.clients.has_heard(url) {
            true => error.transient(true),
            false => error,
        }
    }

    /// The error of a request of `class` to `url`, with what was being transferred: nothing, if the
    /// host never answered.
    fn about(&self, class: RequestClass, url: &Url, error: Error) -> Error {
        let error = error.asked_for(class.asked());
        match class.moves_content() && self.clients.has_heard(url) {
            true => error.moving(),
            false => error,
        }
    }

    pub(super) fn limits(&self, wait: Wait) -> WaitLimits {
        WaitLimits {
            connect: self.timeouts.connect,
            idle: self.timeouts.idle,
            answer: match wait {
                Wait::Header => self.timeouts.header,
                Wait::Commit => self.timeouts.commit,
            },
        }
    }

    pub(super) async fn client(&self, url: &Url) -> Result<Speaker> {
        self.clients.of(url, self.registry.as_ref()).await
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

fn length(headers: &HeaderMap) -> usize {
    let lengths = headers.iter();
    lengths
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum()
}
