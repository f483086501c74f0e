//! Sends requests, with a limit on every wait. Follows redirects and makes bodies again for them.

use std::sync::Arc;

use http::header::LOCATION;
use http::{Method, StatusCode};
use url::Url;
use wharf_oci::Registry;

use super::activity::{Activity, WaitLimits};
use super::broken::Failed;
use super::clients::{Clients, Settings, Speaker};
use super::counts::{Counts, RequestClass};
use super::follow::{authority, same_origin};
use super::request::{Cover, Redirects, Request, Wait};
use super::response::Response;
use super::timeouts::Timeouts;
use super::verbatim::follow_verbatim;
use super::{failure, proxy_failure, trace};
use crate::tls::Authority;
use wharf_core::{Error, ErrorKind, Guard, Result};

/// The most redirects of a request (wire.md section 11, rule 2).
const REDIRECTS: usize = 10;

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
