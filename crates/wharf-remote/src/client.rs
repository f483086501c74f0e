//! The way to registries: one client holds connections and what was learned of hosts.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;
use wharf_oci::{Registry, Repository};

use crate::api::Api;
use crate::credentials::Credentials;
use crate::hosts::{ClientSettings, Host};
use crate::journal::Journal;
use crate::memory::RegistryMemory;
use crate::mirrors::{HostsDirectory, Mirrors, RemoteSource};
use crate::near::Neighbour;
use crate::proxies::Proxies;
use crate::repository::RemoteRepository;
use crate::settings::{Insecure, ReferrersFallback};
use crate::tls::{TlsSettings, Verification};
use crate::transport::{
    LeniencyObserver, Limits, Names, PauseObserver, RequestCounts, Resolver, Settings, Tattler,
    Timeouts, Transport,
};
use wharf_core::Result;
use wharf_core::sync::Lock;

/// Talks to registries. Cheap to clone; clones share connections and knowledge.
///
/// ```no_run
/// # mod wharf {
/// #     pub use wharf_core::Result;
/// #     pub use wharf_remote as remote;
/// # }
/// # async fn example() -> wharf::Result<()> {
/// let client = wharf::remote::Client::builder().build()?;
/// let repository = "ghcr.io/octo/hello".parse().expect("a repository");
/// let hello = client.repository(&repository);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    transport: Transport,
    shared: Arc<ClientSettings>,
    hosts: Lock<HashMap<Registry, Arc<Host>>>,
    hosts_directory: Option<HostsDirectory>,
    mirrors: Lock<HashMap<Registry, Arc<OnceCell<Arc<Mirrors>>>>>,
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
    pub(super) tls: TlsSettings,
    pub(super) proxies: Proxies,
    pub(super) leniencies: Option<Arc<dyn LeniencyObserver>>,
    chunk_size: Option<u64>,
    sessions: Option<PathBuf>,
    credentials: Option<Arc<dyn Credentials>>,
    referrers_fallback: ReferrersFallback,
    list_tries: NonZeroU32,
    locks: Option<PathBuf>,
    memory: RegistryMemory,
    hosts_directory: Option<PathBuf>,
}

/// How often lists of referrers are tried.
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
            credentials: None,
            referrers_fallback: ReferrersFallback::default(),
            list_tries: LIST_TRIES,
            locks: None,
            memory: RegistryMemory::in_process(),
            hosts_directory: None,
        }
    }
}

impl ClientBuilder {
    /// Whether to accept plain http and untrusted certificates.
    #[must_use]
    pub fn insecure(mut self, insecure: Insecure) -> Self {
        self.insecure = insecure;
        self
    }

    /// How long to wait for what; see [`Timeouts`] for the defaults.
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// How many requests may be under way to each registry, and how long it may make us wait.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Who is told when a registry asks to wait.
    #[must_use]
    pub fn pause_observer(mut self, observer: Arc<dyn PauseObserver>) -> Self {
        self.pauses = Some(observer);
        self
    }

    /// What to call ourselves in `User-Agent`; by default `wharf/` and the version.
    #[must_use]
    pub fn user_agent(mut self, user_agent: &str) -> Self {
        user_agent.clone_into(&mut self.user_agent);
        self
    }

    /// Uses `address` for the host named `name`, instead of asking DNS. The port is kept. Several
    /// addresses of one name are tried as those of DNS are. They say nothing of where the host is: a
    /// registry at such an address counts as one out in the world, which may not send us to machines
    /// next to us.
    #[must_use]
    pub fn resolve(mut self, name: &str, address: SocketAddr) -> Self {
        let addresses = self.resolve.entry(name.to_ascii_lowercase());
        addresses.or_default().push(address);
        self
    }

    /// Who knows the addresses of hosts, in place of the system.
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
    /// killed one began. The directory is made when it is needed.
    #[must_use]
    pub fn sessions(mut self, directory: PathBuf) -> Self {
        self.sessions = Some(directory);
        self
    }

    /// Who knows credentials for registries; nobody is asked before a registry wants some.
    /// Without this all registries are talked to by nobody in particular.
    #[must_use]
    pub fn credentials(mut self, credentials: Arc<dyn Credentials>) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// What to do with a referrer where a registry does not list referrers.
    #[must_use]
    pub fn referrers_fallback(mut self, fallback: ReferrersFallback) -> Self {
        self.referrers_fallback = fallback;
        self
    }

    /// How often in a row to try to read or change a list of referrers; 5 by default. Only this step
    /// is tried again: the manifest is in place already.
    #[must_use]
    pub fn list_tries(mut self, tries: NonZeroU32) -> Self {
        self.list_tries = tries;
        self
    }

    /// Makes the processes that share `directory` change a list of referrers one after the other.
    /// Without it they still lose no entry, but must repair what they overwrite.
    #[must_use]
    pub fn locks(mut self, directory: PathBuf) -> Self {
        self.locks = Some(directory);
        self
    }

    /// What to remember registries with; by default until the process ends.
    /// [`Client::save`] keeps what was learned.
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

    /// The client.
    ///
    /// # Errors
    /// [`wharf_core::ErrorKind::Unsupported`] where TLS cannot be set up.
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
                .map(|directory| Arc::new(Journal::new(directory))),
            referrers_fallback: self.referrers_fallback,
            list_tries: self.list_tries,
            locks: self.locks,
            janitor: Arc::default(),
            credentials: self.credentials,
        };
        Ok(Client::of(
            transport,
            shared,
            self.hosts_directory.map(HostsDirectory::new),
        ))
    }
}

impl Client {
    /// Sane settings, to be changed.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// How many requests it and its clones have made so far.
    pub fn requests(&self) -> RequestCounts {
        self.inner.transport.counts().read()
    }

    /// Waits until the registries have cancelled the sessions that were given up, but no longer than
    /// `limit`. Call it before the process ends. Without it registries may keep unfinished sessions
    /// until they sweep them.
    pub async fn tidy(&self, limit: Duration) {
        self.inner.shared.janitor.finish(limit).await;
    }

    /// Writes what was learned of registries to their memory's files, where it has any: also when
    /// what was tried failed. Trouble is no error; it is logged. See [`RegistryMemory::save`].
    pub async fn save(&self) {
        let memory = self.inner.shared.memory.clone();
        let saved = tokio::task::spawn_blocking(move || memory.save()).await;
        if let Err(error) = saved {
            tracing::debug!(%error, "memory not written");
        }
    }

    /// One repository, as a source and a store. Makes no request.
    pub fn repository(&self, repository: &Repository) -> RemoteRepository {
        RemoteRepository::new(Api::new(
            repository.clone(),
            self.transport(repository.registry()),
            self.host(repository.registry()),
        ))
    }

    /// One repository to read from: from the mirrors of its registry, where a directory of
    /// `hosts.toml` files was given and names some, and else as [`Client::repository`]. Makes no
    /// request.
    ///
    /// # Errors
    /// [`wharf_core::ErrorKind::Invalid`], naming file, line and column, where such a file makes no
    /// sense; where it cannot be read.
    pub async fn source(&self, repository: &Repository) -> Result<RemoteSource> {
        let own = self.repository(repository);
        let Some(directory) = &self.inner.hosts_directory else {
            return Ok(RemoteSource::new(own, Arc::default()));
        };
        let registry = repository.registry();
        let cell = {
            let mut mirrors = self.inner.mirrors.lock();
            Arc::clone(mirrors.entry(registry.clone()).or_default())
        };
        let (transport, shared) = (&self.inner.transport, &self.inner.shared);
        let read = async || {
            let mirrors = Mirrors::read(directory.clone(), registry, transport, shared);
            mirrors.await.map(Arc::new)
        };
        let mirrors = cell.get_or_try_init(read).await?;
        Ok(RemoteSource::new(own, Arc::clone(mirrors)))
    }

    /// The same client with other credentials. Both share connections, settings and memory;
    /// what a registry was shown is not shared.
    #[must_use]
    pub fn showing(&self, credentials: Arc<dyn Credentials>) -> Client {
        let shared = ClientSettings {
            credentials: Some(credentials),
            ..ClientSettings::clone(&self.inner.shared)
        };
        let transport = self.inner.transport.clone();
        Client::of(transport, shared, self.inner.hosts_directory.clone())
    }

    fn of(
        transport: Transport,
        shared: ClientSettings,
        hosts_directory: Option<HostsDirectory>,
    ) -> Client {
        let inner = Inner {
            transport,
            shared: Arc::new(shared),
            hosts: Lock::default(),
            hosts_directory,
            mirrors: Lock::default(),
        };
        Client {
            inner: Arc::new(inner),
        }
    }

    pub(super) fn transport(&self, registry: &Registry) -> Transport {
        self.inner.transport.on_behalf_of(registry)
    }

    pub(super) fn host(&self, registry: &Registry) -> Arc<Host> {
        let mut hosts = self.inner.hosts.lock();
        let host = hosts.entry(registry.clone()).or_insert_with(|| {
            Arc::new(Host::new(registry.clone(), Arc::clone(&self.inner.shared)))
        });
        Arc::clone(host)
    }
}
