//! The HTTP clients: one for each combination of TLS settings and reach, made when needed.
//!
//! Clients with different reach never share a connection.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::tls::TlsInfo;
use rustls::ClientConfig;
use rustls::client::ResolvesClientCert;
use url::Url;

use super::broken::{self, Ends};
use super::direct::Direct;
use super::dns::{Names, Reach, Within};
use super::follow::authority;
use super::leniency::{Leniency, Passed, Tattler};
use super::trust::{self, ShownIdentities};
use crate::proxies::Proxies;
use crate::tls::{Authority, Place, Tls, TlsSettings, Verification};
use wharf_core::sync::Lock;
use wharf_core::{Error, ErrorKind, Result, verify};

/// The most hosts with a remembered client; a registry may redirect to any number of hosts.
const HOSTS: usize = 256;

/// The most connections that are remembered. One that is forgotten counts as new.
const CONNECTIONS: usize = 4096;

/// How long a host that broke a connection is remembered for it.
const WARY: Duration = Duration::from_secs(60);

/// The most clients that are kept.
const CLIENTS: usize = 32;

/// The settings of every request.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The value of `User-Agent`.
    pub(crate) user_agent: String,
    /// The TLS settings.
    pub(crate) tls: TlsSettings,
    /// The proxies.
    pub(crate) proxies: Proxies,
    /// The resolver of names.
    pub(crate) names: Arc<Names>,
    /// Reports what was accepted insecurely.
    pub(crate) tattler: Tattler,
}

/// A client, and the state of its TLS.
#[derive(Clone, Debug)]
pub(super) struct Speaker {
    pub(super) http: reqwest::Client,
    tls: Arc<ClientConfig>,
    reach: Reach,
    shown: Arc<ShownIdentities>,
    passed: Arc<Passed>,
}

impl Speaker {
    /// Connections of the same kind for single requests.
    pub(super) fn direct<'a>(&self, settings: &'a Settings, connect: Duration) -> Direct<'a> {
        Direct {
            tls: Arc::clone(&self.tls),
            names: &settings.names,
            reach: self.reach,
            connect,
            user_agent: &settings.user_agent,
        }
    }

    /// Whether a host, possibly that of `url`, asked for a client certificate and got none.
    pub(super) fn is_missed_at(&self, url: &Url) -> bool {
        url.scheme() == "https" && self.shown.is_missed()
    }

    /// Whether a certificate for the host of `url` was accepted.
    pub(super) fn has_met(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        self.shown.has_met(host.trim_matches(['[', ']']))
    }
}

/// All clients.
#[derive(Debug)]
pub(super) struct Clients {
    settings: Settings,
    connect: Duration,
    known: Lock<Known>,
}

/// The target of a request over TLS, and the registry it is made for.
type ClientKey = (Authority, Option<Authority>);

#[derive(Debug, Default)]
struct Known {
    /// `None`: without TLS, for any host.
    ways: HashMap<(Option<ClientKey>, Reach), Speaker>,
    /// The newest last.
    speakers: Vec<(Tls, Reach, Speaker)>,
    /// The hosts that answered a request.
    answered: HashSet<Authority>,
    /// The connections on which a request was answered.
    connections: HashSet<Ends>,
    /// When hosts broke a connection that was used again.
    broke: HashMap<Authority, Instant>,
}

impl Clients {
    pub(super) fn new(settings: Settings, connect: Duration) -> Self {
        Clients {
            settings,
            connect,
            known: Lock::default(),
        }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The client for a request to `url`, made for `registry` if given.
    ///
    /// # Errors
    /// If the host's settings are malformed, TLS cannot be set up, or the registry may not redirect
    /// there.
    pub(super) async fn of(
        self: &Arc<Self>,
        url: &Url,
        registry: Option<&Authority>,
    ) -> Result<Speaker> {
        let speaker = self.found(url, registry).await?;
        let proxy = self.settings.proxies.proxy_for(url);
        match proxy.filter(|proxy| proxy.is_secured() && speaker.shown.has_certs()) {
            // A certificate for the host would be sent to the proxy.
            Some(proxy) => {
                let message = "it is reached over TLS, and would get the client certificate too";
                let error = Error::new(ErrorKind::Unsupported, message);
                Err(error.target(format_args!("proxy {proxy}")))
            }
            None => Ok(speaker),
        }
    }

    /// Reports unverified certificates that were accepted for `response` from `url`.
    fn confess(&self, speaker: &Speaker, url: &Url, response: &reqwest::Response) {
        let shown = response.extensions().get::<TlsInfo>();
        let shown = shown.and_then(TlsInfo::peer_certificate);
        let tell = |url: &Url, shown: Option<&[u8]>| {
            if speaker.passed.has(&Authority::of(url).host, shown) {
                let host = authority(url);
                self.settings.tattler.tell(&host, Leniency::Unverified);
            }
        };
        if shown.is_some() {
            tell(url, shown);
        }
        let proxy = self.settings.proxies.proxy_for(url);
        if let Some(proxy) = proxy.filter(|proxy| proxy.is_secured()) {
            tell(proxy.url(), None);
        }
    }

    /// Records that the host of `url` answered.
    pub(super) fn heard(&self, speaker: &Speaker, url: &Url, response: &reqwest::Response) {
        self.confess(speaker, url, response);
        let (at, mut known) = (Authority::of(url), self.known.lock());
        if known.answered.len() < HOSTS {
            known.answered.insert(at);
        }
        if known.connections.len() >= CONNECTIONS {
            known.connections.clear();
        }
        known.connections.extend(broken::ends(response));
    }

    /// Whether a request was answered on this connection before.
    pub(super) fn has_answered_on(&self, connection: Ends) -> bool {
        self.known.lock().connections.contains(&connection)
    }

    /// Whether the host and port of `url` ever answered.
    pub(super) fn has_heard(&self, url: &Url) -> bool {
        self.known.lock().answered.contains(&Authority::of(url))
    }

    /// Records that the host of `url` broke a connection that was used again.
    pub(super) fn broke_reused(&self, url: &Url) {
        let broke = &mut self.known.lock().broke;
        if broke.len() >= HOSTS {
            broke.clear();
        }
        broke.insert(Authority::of(url), Instant::now());
    }

    /// Whether the host of `url` did that a short while ago.
    pub(super) fn breaks_reused(&self, url: &Url) -> bool {
        let known = self.known.lock();
        let broke = known.broke.get(&Authority::of(url));
        broke.is_some_and(|broke| broke.elapsed() < WARY)
    }

    async fn found(self: &Arc<Self>, url: &Url, registry: Option<&Authority>) -> Result<Speaker> {
        let secured = url.scheme() == "https";
        let way = secured.then(|| (Authority::of(url), registry.cloned()));
        let names = &self.settings.names;
        let reach = match self.settings.proxies.proxy_for(url) {
            Some(_) => names.reach_through_proxy(url, registry)?,
            None => names.reach(url, registry).await?,
        };
        let way = (way, reach);
        if let Some(speaker) = self.known.lock().ways.get(&way) {
            return Ok(speaker.clone());
        }
        let tls = match (&way.0, &self.settings.tls.source) {
            (None, _) => self.settings.tls.merged(None, Place::Elsewhere(None)),
            (Some(way), None) => self.tls(way)?,
            // The source of settings may have to read files.
            (Some(way), Some(_)) => {
                let (clients, way) = (Arc::clone(self), way.clone());
                verify::blocking(move || clients.tls(&way)).await??
            }
        };
        let speaker = self.speaker(&tls, reach)?;
        let ways = &mut self.known.lock().ways;
        if ways.len() >= HOSTS {
            ways.clear();
        }
        ways.insert(way, speaker.clone());
        Ok(speaker)
    }

    fn tls(&self, (at, registry): &ClientKey) -> Result<Tls> {
        let settings = &self.settings.tls;
        let own = settings.known(at)?;
        let sender = match registry {
            Some(registry) if registry == at => {
                return Ok(settings.merged(own.as_ref(), Place::Registry));
            }
            Some(registry) => settings.known(registry)?,
            None => None,
        };
        Ok(settings.merged(own.as_ref(), Place::Elsewhere(sender.as_ref())))
    }

    fn speaker(&self, tls: &Tls, reach: Reach) -> Result<Speaker> {
        let mut known = self.known.lock();
        let fitting =
            |(other, reached, _): &&(Tls, Reach, Speaker)| other == tls && *reached == reach;
        if let Some((_, _, speaker)) = known.speakers.iter().find(fitting) {
            return Ok(speaker.clone());
        }
        let speaker = self.build(tls, reach)?;
        if known.speakers.len() >= CLIENTS {
            known.speakers.remove(0);
        }
        known.speakers.push((tls.clone(), reach, speaker.clone()));
        Ok(speaker)
    }

    fn build(&self, tls: &Tls, reach: Reach) -> Result<Speaker> {
        let (roots, passed) = (self.settings.tls.roots.as_ref(), Arc::default());
        let (mut config, shown) = trust::config(tls, roots, &passed)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let own = Arc::new(config.clone());
        let builder =
            builder(&self.settings, self.connect, reach).tls_backend_preconfigured(config);
        let builder = builder.tls_info(tls.verification == Verification::None);
        let http = builder.build().map_err(|error| {
            Error::new(ErrorKind::Unsupported, "cannot set up TLS").source(error.without_url())
        })?;
        Ok(Speaker {
            http,
            tls: own,
            reach,
            shown,
            passed,
        })
    }
}

fn builder(settings: &Settings, connect: Duration, reach: Reach) -> reqwest::ClientBuilder {
    let names = Arc::clone(&settings.names);
    let builder = reqwest::Client::builder()
        .user_agent(&settings.user_agent)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .http1_only()
        // Folded header lines are obsolete, and to be read all the same (RFC 9112, section 5.2).
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .connect_timeout(connect)
        .dns_resolver(Arc::new(Within { names, reach }));
    match settings.proxies == Proxies::default() {
        true => builder,
        false => {
            let proxies = settings.proxies.clone();
            builder.proxy(reqwest::Proxy::custom(move |url| {
                proxies.proxy_for(url).map(|proxy| proxy.url().clone())
            }))
        }
    }
}
