//! Asks a host whether it answers, and over what.

use http::{Method, StatusCode};
use url::Url;

use super::activity::Activity;
use super::counts::RequestClass;
use super::follow::authority;
use super::http::Transport;
use super::request::Wait;
use super::{failure, proxy_failure, trace};
use wharf_core::{Error, Result};

/// The error of a probe.
#[derive(Debug)]
pub(crate) struct Probe {
    /// Whether the connection was made before the error; over https, whether the host speaks TLS,
    /// so that plain http must not be tried.
    pub(crate) connected: bool,
    /// The error for the user.
    pub(crate) error: Error,
}

impl Transport {
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
}
