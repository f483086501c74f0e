//! Sends requests, with a limit on every wait. Follows redirects and makes bodies again for them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use http::header::{CONTENT_LENGTH, LOCATION};
use http::{HeaderMap, Method, StatusCode};
use url::Url;
use wharf_oci::Registry;

use super::activity::{Activity, WaitLimits};
use super::body::{Body, split};
use super::clients::{Clients, Settings, Speaker};
use super::counts::{Counts, RequestClass};
use super::follow::{authority, same_origin};
use super::request::{Cover, Head, Redirects, Request, Wait};
use super::response::Response;
use super::verbatim::{follow_verbatim, verbatim};
use super::{failure, proxy_failure, trace};
use crate::tls::Authority;
use wharf_core::{Error, ErrorKind, Guard, Result};

/// Limits on waiting. There is no limit on total time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection; 10 s by default.
    pub connect: Duration,
    /// From the end of a request to the headers of its answer; 30 s by default. A part of a blob
    /// has this limit too.
    pub header: Duration,
    /// The same for a request that commits a blob or manifest; 300 s by default.
    pub commit: Duration,
    /// Without a byte moved in either direction; 60 s by default. Waiting for our own source does
    /// not count.
    pub idle: Duration,
}

/// The upper bound of limits, so that sums with the clock do not overflow.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

impl Timeouts {
    fn clamped(self) -> Self {
        Timeouts {
            connect: self.connect.min(LONGEST),
            header: self.header.min(LONGEST),
            commit: self.commit.min(LONGEST),
            idle: self.idle.min(LONGEST),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            connect: Duration::from_secs(10),
            header: Duration::from_secs(30),
            commit: Duration::from_secs(300),
            idle: Duration::from_secs(60),
        }
    }
}

/// The most redirects of a request (wire.md section 11, rule 2).
const REDIRECTS: usize = 10;

/// The most bytes of an answer's headers (wire.md section 11, rule 5). The HTTP client itself reads
/// at most 100 headers and some 400 KiB.
const HEADERS: usize = 64 * 1024;

/// Sends requests to all hosts. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Transport {
    clients: Arc<Clients>,
    /// The registry that requests are made for.
    registry: Option<Authority>,
    timeouts: Timeouts,
    counts: Arc<Counts>,
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

    /// The status of an HTTP answer at `url`; the error says whether the connection was made.
    pub(crate) async fn probe(&self, url: Url) -> Result<StatusCode, Probe> {
        let client = self.client(&url).await.map_err(|error| Probe {
            connected: true,
            error,
        })?;
        let authority = authority(&url);
        let activity = Activity::new();
        let body = reqwest::Body::wrap(activity.nothing());
        let sending = client.http.get(url.clone()).body(body).send();
        let sent = tokio::select! {
            sent = sending => sent,
            error = activity.stalled(self.limits(Wait::Header)) => {
                return Err(Probe {
                    connected: client.has_met(&url),
                    error: error.target(authority),
                });
            }
        };
        match sent {
            Ok(response) => {
                self.counts.add(RequestClass::of(&Method::GET, url.path()));
                trace::probed(&url, response.status());
                Ok(response.status())
            }
            Err(error) => Err(Probe {
                connected: failure::distrusts(&error)
                    || !error.is_connect()
                    || self.is_kept_by_proxy(&error, &url),
                error: self.explain(&error, &client, &url),
            }),
        }
    }

    /// Whether the host of `url` is known to speak TLS, even without an answer so far.
    pub(crate) async fn speaks_tls(&self, url: &Url) -> bool {
        let client = self.client(url).await;
        client.is_ok_and(|client| client.has_met(url))
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
            let (carried, rest) = split(body);
            let response = self
                .hop(&head, carried)
                .await
                .map_err(|error| match error {
                    Failed::Source(error) => error,
                    Failed::Exchange(error) => {
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

    /// Sends a request, with the target of its URL as it came. A proxy gets the URL's.
    async fn send(
        &self,
        builder: reqwest::RequestBuilder,
        client: &Speaker,
        url: &Url,
    ) -> Result<reqwest::Response> {
        let explain = |error: reqwest::Error| self.explain(&error, client, url);
        let settings = self.clients.settings();
        let target = match settings.proxies.proxy_for(url) {
            Some(_) => None,
            None => verbatim(url),
        };
        let Some(target) = target else {
            return builder.send().await.map_err(explain);
        };
        let direct = client.direct(settings, self.timeouts.connect);
        let sent = direct.send(builder.build().map_err(explain)?, target).await;
        sent.map_err(|error| {
            let missed = client.is_missed_at(url);
            let error = failure::explain_direct(&error, &authority(url), missed);
            self.retried_if_heard(error, url)
        })
    }

    /// Whether a proxy caused the error of a request over https that would pass it over plain http.
    /// That says nothing of the host's TLS.
    fn is_kept_by_proxy(&self, error: &reqwest::Error, url: &Url) -> bool {
        let proxies = &self.clients.settings().proxies;
        let Some(proxy) = proxies.proxy_for(url) else {
            return false;
        };
        let mut plain = url.clone();
        let passes = plain.set_scheme("http").is_ok() && proxies.proxy_for(&plain).is_none();
        passes && proxy_failure::explain(error, proxy, url).is_some()
    }

    fn explain(&self, error: &reqwest::Error, client: &Speaker, url: &Url) -> Error {
        let missed = client.is_missed_at(url);
        let proxy = self.clients.settings().proxies.proxy_for(url);
        let by_proxy = proxy.and_then(|proxy| proxy_failure::explain(error, proxy, url));
        let error = by_proxy.unwrap_or_else(|| failure::explain(error, &authority(url), missed));
        self.retried_if_heard(error, url)
    }

    fn retried_if_heard(&self, error: Error, url: &Url) -> Error {
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

    fn limits(&self, wait: Wait) -> WaitLimits {
        WaitLimits {
            connect: self.timeouts.connect,
            idle: self.timeouts.idle,
            answer: match wait {
                Wait::Header => self.timeouts.header,
                Wait::Commit => self.timeouts.commit,
            },
        }
    }

    async fn client(&self, url: &Url) -> Result<Speaker> {
        self.clients.of(url, self.registry.as_ref()).await
    }

    /// One request and its answer, counted and written to the log.
    async fn hop(&self, head: &Head, body: Body) -> Result<reqwest::Response, Failed> {
        trace::asked(head, &body);
        self.counts.add(head.class);
        let started = Instant::now();
        let answer = self.try_hop(head, body).await;
        match &answer {
            Ok(response) => trace::answered(head, response, started),
            Err(Failed::Exchange(error)) => {
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

    async fn try_hop(&self, head: &Head, body: Body) -> Result<reqwest::Response, Failed> {
        let client = self.client(&head.url).await.map_err(Failed::Exchange)?;
        let activity = Activity::new();
        let builder = client
            .http
            .request(head.method.clone(), head.url.clone())
            .headers(head.headers.clone());
        let builder = with_body(builder, &head.method, body, &activity);
        let sent = tokio::select! {
            sent = self.send(builder, &client, &head.url) => sent,
            error = activity.stalled(self.limits(head.wait)) => {
                return Err(Failed::Exchange(error));
            }
        };
        let response = sent.map_err(|error| match activity.take_source_error() {
            Some(error) => Failed::Source(error),
            None => Failed::Exchange(error),
        })?;
        self.clients.heard(&client, &head.url, &response);
        let headers = length(response.headers());
        if headers > HEADERS {
            let message = format!("answered with {headers} bytes of headers, more than {HEADERS}");
            return Err(Failed::Exchange(Error::new(ErrorKind::Rejected, message)));
        }
        if response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED
            && let Some(proxy) = self.clients.settings().proxies.proxy_for(&head.url)
        {
            return Err(Failed::Exchange(proxy_failure::wants_credentials(proxy)));
        }
        // The rest of the body is not watched after the answer.
        if response.status().is_success() && !activity.is_sent() {
            let message = format!(
                "answered {} before it had the whole request",
                response.status()
            );
            return Err(Failed::Exchange(Error::new(
                ErrorKind::Interrupted,
                message,
            )));
        }
        Ok(response)
    }
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

enum Failed {
    Source(Error),
    Exchange(Error),
}

/// The error of a probe.
#[derive(Debug)]
pub(crate) struct Probe {
    /// Whether the connection was made before the error; over https, whether the host speaks TLS,
    /// so that plain http must not be tried.
    pub(crate) connected: bool,
    /// The error for the user.
    pub(crate) error: Error,
}

/// The redirect of an answer, if it is to be followed: any for a read, with a body only one that
/// keeps method and body (RFC 9110, section 15.4; wire.md U7).
fn redirect(method: &Method, response: &reqwest::Response) -> Option<String> {
    let redirects = match response.status().as_u16() {
        307 | 308 => true,
        301..=303 => matches!(*method, Method::GET | Method::HEAD),
        _ => false,
    };
    let location = response.headers().get(LOCATION).filter(|_| redirects)?;
    location.to_str().ok().map(str::to_owned)
}

fn elsewhere(url: &Url) -> Error {
    let message = format!(
        "it redirects to {} with credentials; nothing was sent there",
        authority(url)
    );
    Error::new(ErrorKind::Refused, message)
}

fn uncovered(url: &Url) -> Error {
    let message = format!(
        "it redirects from https to plain http at {}; nothing was sent there",
        authority(url)
    );
    Error::guarded(Guard::Cleartext, message)
}
