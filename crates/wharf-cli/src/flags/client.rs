//! Builds the client of a command from flags and environment.

use std::path::PathBuf;

use wharf::Result;
use wharf::memory::RegistryMemory;
use wharf::remote::{Client, ClientBuilder, Insecure};

use super::Global;
use super::existing::existing;
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
/// If files of certificates or a directory of mirrors cannot be used, or a proxy is malformed.
pub(crate) fn builder(flags: &Global, memories: Memories) -> Result<ClientBuilder> {
    let mut builder = Client::builder()
        .insecure(match flags.insecure {
            true => Insecure::Yes,
            false => Insecure::No,
        })
        .memory(memories.registries)
        .timeouts(flags.timing.timeouts())
        .limits(flags.requests.max_requests.limits(flags.timing.patience()))
        .list_tries(flags.requests.tries())
        .retry(flags.copy_options().retry)
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
    let hosts = match (&flags.requests.hosts_dir, env::hosts_directory()) {
        (Some(directory), _) => Some(existing(directory)?),
        (None, Some(directory)) => {
            let hosts = existing(&directory).map_err(|error| error.target("WHARF_HOSTS_DIR"));
            Some(hosts?)
        }
        (None, None) => None,
    };
    if let Some(directory) = hosts {
        builder = builder.hosts_directory(directory);
    }
    let builder = flags.tls.apply(env::tls_places(), builder)?;
    Ok(builder.proxies(env::proxies()?))
}
