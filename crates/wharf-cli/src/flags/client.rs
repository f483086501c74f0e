//! What the flags and the environment mean for the client of a command.

use std::path::PathBuf;

use wharf::Result;
use wharf::memory::RegistryMemory;
use wharf::remote::{Client, ClientBuilder, Insecure};

use super::Global;
use crate::env;

/// Where a client keeps what it learns.
#[derive(Clone, Debug)]
pub(crate) struct Memories {
    /// What is known of registries.
    pub(crate) registries: RegistryMemory,
    /// The directory of everything that is kept between runs; `None` where nothing is.
    pub(crate) cache: Option<PathBuf>,
}

/// A client that does what the flags say; its credentials are still to be given.
///
/// # Errors
/// Where files of certificates cannot be used, or a proxy makes no sense.
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
