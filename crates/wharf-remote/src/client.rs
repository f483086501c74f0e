//! The client for registries: holds connections and what was learned of hosts.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;
use wharf_oci::{Registry, Repository};

use crate::api::Api;
use crate::credentials::Credentials;
use crate::hosts::{ClientSettings, Host};
use crate::mirrors::{HostsDirectory, Mirrors, RawSource, RemoteSource};
use crate::repository::{RawRepository, RemoteRepository};
use crate::transport::{RequestCounts, Transport};
use crate::tries::Tries;
use crate::warnings::RegistryWarning;
use wharf_core::Result;
use wharf_core::sync::Lock;

/// Talks to registries. Cheap to clone; clones share connections and knowledge.
///
/// Its requests, and those of its repositories, are tried again after transient errors, as
/// [`ClientBuilder::retry`](crate::ClientBuilder::retry) says.
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
    tries: Tries,
}

#[derive(Debug)]
struct Inner {
    transport: Transport,
    shared: Arc<ClientSettings>,
    hosts: Lock<HashMap<Registry, Arc<Host>>>,
    hosts_directory: Option<HostsDirectory>,
    mirrors: Lock<HashMap<Registry, Arc<OnceCell<Arc<Mirrors>>>>>,
}

impl Client {
    /// How many requests it and its clones have made so far.
    pub fn requests(&self) -> RequestCounts {
        self.inner.transport.counts().read()
    }

    /// What registries wanted their users to know, in answers to it and its clones: each text once,
    /// the first 20.
    pub fn warnings(&self) -> Vec<RegistryWarning> {
        self.inner.shared.warnings.all()
    }

    /// Waits until the registries have cancelled the sessions that were given up, but no longer than
    /// `limit`. Call it before the process ends. Without it registries may keep unfinished sessions
    /// until they sweep them.
    pub async fn tidy(&self, limit: Duration) {
        self.inner.shared.janitor.finish(limit).await;
    }

    /// Pauses uploads instead of cancelling them: from now on, what is dropped may be continued by
    /// the next process. That holds for uploads that are noted ([`ClientBuilder::sessions`]) and
    /// have 4 MiB or more at the registry or on their way; others are cancelled as before. Call it
    /// before the work is dropped, when a signal ends the program. Clones pause too.
    ///
    /// [`ClientBuilder::sessions`]: crate::ClientBuilder::sessions
    pub fn pause(&self) {
        self.inner.shared.pause.begin();
    }

    /// How many uploads were left to the next process since [`Client::pause`].
    pub fn paused_uploads(&self) -> usize {
        self.inner.shared.pause.left()
    }

    /// Writes the knowledge of registries to the memory's files, if it has any, also after a
    /// failure. A file that cannot be written is logged, and is not an error. See
    /// [`RegistryMemory::save`](crate::memory::RegistryMemory::save).
    pub async fn save(&self) {
        let memory = self.inner.shared.memory.clone();
        let saved = tokio::task::spawn_blocking(move || memory.save()).await;
        if let Err(error) = saved {
            tracing::debug!(%error, "memory not written");
        }
    }

    /// One repository, as a source and a store. Sends no request.
    pub fn repository(&self, repository: &Repository) -> RemoteRepository {
        RemoteRepository::new(self.raw(repository), self.tries)
    }

    fn raw(&self, repository: &Repository) -> RawRepository {
        RawRepository::new(Api::new(
            repository.clone(),
            self.transport(repository.registry()),
            self.host(repository.registry()),
        ))
    }

    /// One repository to read from, through the mirrors of its registry if a directory of
    /// `hosts.toml` files names some; otherwise as [`Client::repository`]. Sends no request.
    ///
    /// # Errors
    /// [`wharf_core::ErrorKind::Invalid`], naming file, line and column, if such a file is
    /// malformed; if it cannot be read.
    pub async fn source(&self, repository: &Repository) -> Result<RemoteSource> {
        let (own, tries) = (self.raw(repository), self.tries);
        let Some(directory) = &self.inner.hosts_directory else {
            return Ok(RemoteSource::new(
                RawSource::new(own, Arc::default()),
                tries,
            ));
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
        Ok(RemoteSource::new(
            RawSource::new(own, Arc::clone(mirrors)),
            tries,
        ))
    }

    /// The same client, which tries each of its requests once, for a program with retries of its
    /// own. Both share everything else.
    #[must_use]
    pub fn single_tries(&self) -> Client {
        Client {
            tries: Tries::SINGLE,
            ..self.clone()
        }
    }

    /// The same client with other credentials. Both share connections, settings and memory, but not
    /// the credentials and tokens in use.
    #[must_use]
    pub fn showing(&self, credentials: Arc<dyn Credentials>) -> Client {
        let shared = ClientSettings {
            credentials: Some(credentials),
            ..ClientSettings::clone(&self.inner.shared)
        };
        let transport = self.inner.transport.clone();
        Client {
            tries: self.tries,
            ..Client::of(transport, shared, self.inner.hosts_directory.clone())
        }
    }

    pub(super) fn of(
        transport: Transport,
        shared: ClientSettings,
        hosts_directory: Option<HostsDirectory>,
    ) -> Client {
        let tries = Tries::by(shared.retry);
        let inner = Inner {
            transport,
            shared: Arc::new(shared),
            hosts: Lock::default(),
            hosts_directory,
            mirrors: Lock::default(),
        };
        Client {
            inner: Arc::new(inner),
            tries,
        }
    }

    pub(super) fn tries(&self) -> Tries {
        self.tries
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
