//! The settings of a client.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::sync::Arc;

use wharf_oci::Registry;

use crate::client::Client;
use crate::credentials::Credentials;
use crate::hosts::{ClientSettings, Journal};
use crate::memory::RegistryMemory;
use crate::mirrors::HostsDirectory;
use crate::proxies::Proxies;
use crate::settings::{Insecure, ReferrersFallback};
use crate::tls::{Authority, Roots, Tls, TlsSettings, TlsSource, Verification};
use crate::transport::{
    LeniencyObserver, Limits, Names, Neighbour, PauseObserver, Resolver, Settings, Tattler,
    Timeouts, Transport,
};
use wharf_core::Result;
use wharf_core::copy::RetryPolicy;

impl Client {
    /// Settings with defaults, to be changed.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }
}

/// Settings of a [`Client`], made by [`Client::builder`]. Each has a default that suits most
/// registries; none reads the environment.
#[derive(Clone, Debug)]
pub struct ClientBuilder {
    insecure: Insecure,
    timeouts: Timeouts,
    limits: Limits,
    pauses: Option<Arc<dyn PauseObserver>>,
    user_agent: String,
    resolve: HashMap<String, Vec<SocketAddr>>,
    resolver: Option<Arc<dyn Resolver>>,
    neighbours: Vec<Neighbour>,
    tls: TlsSettings,
    proxies: Proxies,
    leniencies: Option<Arc<dyn LeniencyObserver>>,
    chunk_size: Option<u64>,
    sessions: Option<PathBuf>,
    sessions_under: Option<Registry>,
    credentials: Option<Arc<dyn Credentials>>,
    referrers_fallback: ReferrersFallback,
    list_tries: NonZeroU32,
    retry: RetryPolicy,
    locks: Option<PathBuf>,
    memory: RegistryMemory,
    hosts_directory: Option<PathBuf>,
}

/// The default number of tries for lists of referrers.
const LIST_TRIES: NonZeroU32 = NonZeroU32::new(5).expect("not zero");

impl Default for ClientBuilder {
    fn default() -> Self {
        ClientBuilder {
            insecure: Insecure::No,
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            pauses: None,
            user_agent: concat!("wharf/", env!("CARGO_PKG_VERSION")).to_owned(),
            resolve: HashMap::new(),
            resolver: None,
            neighbours: Vec::new(),
            tls: TlsSettings::default(),
            proxies: Proxies::default(),
            leniencies: None,
            chunk_size: None,
            sessions: None,
            sessions_under: None,
            credentials: None,
            referrers_fallback: ReferrersFallback::default(),
            list_tries: LIST_TRIES,
            retry: RetryPolicy::default(),
            locks: None,
            memory: RegistryMemory::in_process(),
            hosts_directory: None,
        }
    }
}

impl ClientBuilder {
    /// Sets whether to accept plain http and untrusted certificates.
    #[must_use]
    pub fn insecure(mut self, insecure: Insecure) -> Self {
        self.insecure = insecure;
        self
    }

    /// Sets how long to wait for what; see [`Timeouts`] for the defaults.
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Sets how many requests may be under way to each registry, and how long it may impose a wait.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the observer of pauses that a registry asks for.
    #[must_use]
    pub fn pause_observer(mut self, observer: Arc<dyn PauseObserver>) -> Self {
        self.pauses = Some(observer);
        self
    }

    /// Sets the `User-Agent`; by default `wharf/` and the version.
    #[must_use]
    pub fn user_agent(mut self, user_agent: &str) -> Self {
        user_agent.clone_into(&mut self.user_agent);
        self
    }

    /// Uses `address` for the host named `name`, instead of DNS. The port is kept. Several
    /// addresses of one name are tried like those from DNS. For the rule about near addresses such
    /// a registry counts as public: see [`ClientBuilder::allow_near`].
    #[must_use]
    pub fn resolve(mut self, name: &str, address: SocketAddr) -> Self {
        let addresses = self.resolve.entry(name.to_ascii_lowercase());
        addresses.or_default().push(address);
        self
    }

    /// Sets the resolver of host names, in place of the system's.
    #[must_use]
    pub fn resolver(mut self, resolver: Arc<dyn Resolver>) -> Self {
        self.resolver = Some(resolver);
        self
    }

    /// Lets registries redirect requests to `neighbour`, which is at a loopback, private or
    /// link-local address. Without this only a registry that is itself at such addresses may.
    #[must_use]
    pub fn allow_near(mut self, neighbour: Neighbour) -> Self {
        self.neighbours.push(neighbour);
        self
    }

    /// Sends blobs in requests of at most `bytes` each, for registries behind front ends that limit
    /// bodies. Without this a limit is found out by a refusal.
    #[must_use]
    pub fn chunk_size(mut self, bytes: NonZeroU64) -> Self {
        self.chunk_size = Some(bytes.get());
        self
    }

    /// Notes uploads under way in files of `directory`, so that the next process continues what a
    /// killed one, or one that called [`Client::pause`], began. The directory is made when it is
    /// needed.
    #[must_use]
    pub fn sessions(mut self, directory: PathBuf) -> Self {
        self.sessions = Some(directory);
        self
    }

    /// Notes uploads to all registries under this name in place of their own, for a single registry
    /// that is at another address in each run.
    #[must_use]
    pub fn sessions_under(mut self, name: Registry) -> Self {
        self.sessions_under = Some(name);
        self
    }

    /// Sets the source of credentials. It is read when a registry requires credentials, and not
    /// before. Without it requests are anonymous.
    #[must_use]
    pub fn credentials(mut self, credentials: Arc<dyn Credentials>) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Sets what to do with a referrer if a registry does not list referrers.
    #[must_use]
    pub fn referrers_fallback(mut self, fallback: ReferrersFallback) -> Self {
        self.referrers_fallback = fallback;
        self
    }

    /// Sets how often in a row to try to read or change a list of referrers; 5 by default. Only this step
    /// is tried again: the manifest is in place already.
    #[must_use]
    pub fn list_tries(mut self, tries: NonZeroU32) -> Self {
        self.list_tries = tries;
        self
    }

    /// Sets how often, and how soon, requests are tried again that are not part of a copy, such as
    /// those of [`Client::repository`]. A copy has a policy of its own, and [`Client::single_tries`]
    /// tries once.
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Makes the processes that share `directory` change a list of referrers one after the other.
    /// Without it they still lose no entry, but must repair what they overwrite.
    #[must_use]
    pub fn locks(mut self, directory: PathBuf) -> Self {
        self.locks = Some(directory);
        self
    }

    /// Sets the memory of registries; by default it ends with the process. [`Client::save`] keeps
    /// what was learned.
    #[must_use]
    pub fn memory(mut self, memory: RegistryMemory) -> Self {
        self.memory = memory;
        self
    }

    /// Reads from the mirrors that containerd's `hosts.toml` files in `directory` name for a
    /// registry, in [`Client::source`]. A file is read when its registry is first read from.
    #[must_use]
    pub fn hosts_directory(mut self, directory: PathBuf) -> Self {
        self.hosts_directory = Some(directory);
        self
    }

    /// Sets TLS for all hosts. Its client certificate is for the registries that this client works
    /// with, and never for hosts they redirect to.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls.all = tls;
        self
    }

    /// Sets TLS for the host and port of `registry`, which may also be a mirror or a token server,
    /// in addition to the settings for all. [`Tls::authorities`] of a registry also apply to hosts
    /// it redirects to; its client certificate does not.
    #[must_use]
    pub fn tls_for(mut self, registry: &Registry, tls: Tls) -> Self {
        self.tls.hosts.insert(Authority::of_registry(registry), tls);
        self
    }

    /// Sets the source of TLS settings for hosts without [`ClientBuilder::tls_for`].
    #[must_use]
    pub fn tls_source(mut self, source: Arc<dyn TlsSource>) -> Self {
        self.tls.source = Some(source);
        self
    }

    /// Sets the trusted authorities, instead of the system's. Without them, the system's are found
    /// as usual; on Linux that includes `SSL_CERT_FILE` and `SSL_CERT_DIR`.
    #[must_use]
    pub fn roots(mut self, roots: impl Into<Roots>) -> Self {
        self.tls.roots = Some(roots.into());
        self
    }

    /// Sets the proxies; by default none.
    #[must_use]
    pub fn proxies(mut self, proxies: Proxies) -> Self {
        self.proxies = proxies;
        self
    }

    /// Sets the observer of what was accepted only because of [`Insecure::Yes`] or
    /// [`Verification::None`].
    #[must_use]
    pub fn leniency_observer(mut self, observer: Arc<dyn LeniencyObserver>) -> Self {
        self.leniencies = Some(observer);
        self
    }

    /// Builds the client.
    ///
    /// # Errors
    /// [`wharf_core::ErrorKind::Unsupported`] if TLS cannot be set up.
    pub fn build(self) -> Result<Client> {
        let mut tls = self.tls;
        if self.insecure == Insecure::Yes {
            tls.all.verification = Verification::None;
        }
        let tattler = Tattler::new(self.leniencies);
        let settings = Settings {
            user_agent: self.user_agent,
            tls,
            proxies: self.proxies,
            names: Arc::new(Names::new(self.resolve, self.resolver, self.neighbours)),
            tattler: tattler.clone(),
        };
        let transport = Transport::new(settings, self.timeouts);
        let shared = ClientSettings {
            insecure: self.insecure,
            tattler,
            memory: self.memory,
            limits: self.limits,
            pauses: self.pauses,
            chunk_size: self.chunk_size,
            journal: self
                .sessions
                .map(|directory| Arc::new(Journal::new(directory).under(self.sessions_under))),
            referrers_fallback: self.referrers_fallback,
            list_tries: self.list_tries,
            retry: self.retry,
            locks: self.locks,
            janitor: Arc::default(),
            pause: Arc::default(),
            warnings: Arc::default(),
            credentials: self.credentials,
        };
        Ok(Client::of(
            transport,
            shared,
            self.hosts_directory.map(HostsDirectory::new),
        ))
    }
}
