//! The way to registries: one client holds connections and what was learned of hosts.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use wharf_oci::{Registry, Repository};

use super::host::Host;
use super::repository::RemoteRepository;
use super::transport::{Settings, Timeouts, Transport};
use crate::Result;
use crate::memory::RegistryMemory;

/// Talks to registries. Cheap to clone; clones share connections and knowledge.
///
/// ```no_run
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
    insecure: Insecure,
    memory: RegistryMemory,
    hosts: Mutex<HashMap<Registry, Arc<Host>>>,
}

/// Whether plain http and certificates nobody vouches for are acceptable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Insecure {
    /// https with a trusted certificate, and http to local and private hosts only (PUSH.md A3).
    #[default]
    No,
    /// Anything goes.
    Yes,
}

/// Settings of a [`Client`].
#[derive(Clone, Debug)]
pub struct ClientBuilder {
    insecure: Insecure,
    timeouts: Timeouts,
    user_agent: String,
    resolve: Vec<(String, SocketAddr)>,
    memory: RegistryMemory,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        ClientBuilder {
            insecure: Insecure::No,
            timeouts: Timeouts::default(),
            user_agent: concat!("wharf/", env!("CARGO_PKG_VERSION")).to_owned(),
            resolve: Vec::new(),
            memory: RegistryMemory::in_process(),
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

    /// How long to wait for what.
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// What to call ourselves in `User-Agent`.
    #[must_use]
    pub fn user_agent(mut self, user_agent: &str) -> Self {
        user_agent.clone_into(&mut self.user_agent);
        self
    }

    /// Uses `address` for the host named `name`, instead of asking DNS. The port is kept.
    #[must_use]
    pub fn resolve(mut self, name: &str, address: SocketAddr) -> Self {
        self.resolve.push((name.to_owned(), address));
        self
    }

    /// What to remember registries with; by default until the process ends.
    /// [`Client::save`] keeps what was learned.
    #[must_use]
    pub fn memory(mut self, memory: RegistryMemory) -> Self {
        self.memory = memory;
        self
    }

    /// The client.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] where TLS cannot be set up.
    pub fn build(self) -> Result<Client> {
        let settings = Settings {
            user_agent: self.user_agent,
            trust_anyone: self.insecure == Insecure::Yes,
            resolve: self.resolve,
        };
        let transport = Transport::new(settings, self.timeouts)?;
        let inner = Inner {
            transport,
            insecure: self.insecure,
            memory: self.memory,
            hosts: Mutex::default(),
        };
        Ok(Client {
            inner: Arc::new(inner),
        })
    }
}

impl Client {
    /// Sane settings, to be changed.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Writes what was learned of registries to their memory's files, where it has any: also when
    /// what was tried failed. Trouble is no error; it is logged. See [`RegistryMemory::save`].
    pub async fn save(&self) {
        let memory = self.inner.memory.clone();
        let saved = tokio::task::spawn_blocking(move || memory.save()).await;
        if let Err(error) = saved {
            tracing::debug!(%error, "memory not written");
        }
    }

    /// One repository, as a source and a store. Makes no request.
    pub fn repository(&self, repository: &Repository) -> RemoteRepository {
        let registry = repository.registry();
        // No code that holds the lock can panic half-way through a change.
        let mut hosts = self
            .inner
            .hosts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let host = hosts.entry(registry.clone()).or_insert_with(|| {
            let memory = self.inner.memory.clone();
            Arc::new(Host::new(registry.clone(), self.inner.insecure, memory))
        });
        RemoteRepository::new(
            repository.clone(),
            self.inner.transport.clone(),
            Arc::clone(host),
        )
    }
}
