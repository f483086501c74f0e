//! The HTTP clients: one that trusts nobody, and one that trusts whom the system trusts.
//!
//! Loading the system's certificates takes some milliseconds, as long as a whole push of nothing
//! new to a registry over plain http. So that client is made when somebody is met who speaks TLS.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use url::Url;

use crate::{Error, ErrorKind, Result};

/// What is the same for every request.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The value of `User-Agent`.
    pub(crate) user_agent: String,
    /// Whether certificates are not looked at.
    pub(crate) trust_anyone: bool,
    /// Addresses of hosts that DNS is not asked for.
    pub(crate) resolve: Vec<(String, SocketAddr)>,
}

/// Both clients; the second is made when it is needed.
#[derive(Debug)]
pub(super) struct Clients {
    settings: Settings,
    connect: Duration,
    rootless: reqwest::Client,
    trusting: OnceLock<reqwest::Client>,
}

impl Clients {
    pub(super) fn new(settings: Settings, connect: Duration) -> Result<Self> {
        let rootless = build(builder(&settings, connect).tls_certs_only([]))?;
        Ok(Clients {
            settings,
            connect,
            rootless,
            trusting: OnceLock::new(),
        })
    }

    /// The client for a URL: trust matters for https only.
    pub(super) fn of(&self, url: &Url) -> Result<&reqwest::Client> {
        match url.scheme() {
            "https" => self.trusting(),
            _ => Ok(&self.rootless),
        }
    }

    /// A client to whom no certificate is good, unless all are.
    pub(super) fn rootless(&self) -> &reqwest::Client {
        &self.rootless
    }

    /// A client that trusts whom the system trusts.
    pub(super) fn trusting(&self) -> Result<&reqwest::Client> {
        if self.settings.trust_anyone {
            return Ok(&self.rootless);
        }
        if let Some(client) = self.trusting.get() {
            return Ok(client);
        }
        let client = build(builder(&self.settings, self.connect))?;
        Ok(self.trusting.get_or_init(|| client))
    }
}

fn builder(settings: &Settings, connect: Duration) -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder()
        .user_agent(&settings.user_agent)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .http1_only()
        .connect_timeout(connect)
        .tls_danger_accept_invalid_certs(settings.trust_anyone);
    let resolve = settings.resolve.iter();
    resolve.fold(builder, |builder, (name, address)| {
        builder.resolve(name, *address)
    })
}

fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client> {
    builder.build().map_err(|error| {
        Error::new(ErrorKind::Unsupported, "cannot set up TLS").source(error.without_url())
    })
}
