//! Builds the client of a command from flags and environment.

use std::path::PathBuf;

use wharf::Result;
use wharf::memory::RegistryMemory;
use wharf::remote::{Client, ClientBuilder, Insecure};

use super::Global;
use crate::env;

/// The memories of a client.
#[derive(Clone, Debug)]
pub(crate) struct Memories {
    /// The memory of registries.
    pub(crate) registries: RegistryMemory,
    /// The directory of everything kept between runs; `None` if nothing is.
    pub(crate) cache: Option<PathBuf>,
}

/// A client with the settings of the flags, without credentials.
///
/// # Errors
/// If files of certificates cannot be used, or a proxy is malformed.
pub(crate) fn builder(flags: &Global, memories: Memories) -> Result<ClientBuilder> {
    let mut builder = Client::builder()
        .insecure(match flags.insecure {
            true => Insecure::Yes,
            false => Insecure::No,
        })
        .memory(memories.registries)
        .timeouts(flags.timing.timeouts())
        .limits(flags.requests.max_requests.limits(flags.timing.patience()))
        .list_tries(flags.requests.retries)
        .user_agent(concat!("wharf/", env!("CARGO_PKG_VERSION")));
    for neighbour in &flags.requests.allow_near {
        builder = builder.allow_near(neighbour.clone());
    }
    if let Some(cache) = memories.cache {
        builder = builder
            .sessions(cache.join("sessions"))
            .locks(cache.join("locks"));
    }
    if let Some(bytes) = flags.requests.chunk_size {
        builder = builder.chunk_size(bytes);
    }
    if let Some(directory) = flags
        .requests
        .hosts_dir
        .clone()
        .or_else(env::hosts_directory)
    {
        builder = builder.hosts_directory(directory);
    }
    let builder = flags.tls.apply(env::tls_places(), builder)?;
    Ok(builder.proxies(env::proxies()?))
}
