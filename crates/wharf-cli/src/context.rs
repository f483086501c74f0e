//! What the global flags and the user's environment mean, in one place for all commands.
//!
//! Environment variables are read here and nowhere else.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;

use wharf::copy::{CopyOptions, Existing, Nondistributable, Observer, RetryPolicy};
use wharf::memory::RegistryMemory;
use wharf::remote::{Client, Insecure};
use wharf::{Error, ErrorKind, Result};

use crate::args::{Global, Moving, PlatformChoice};
use crate::printer::Printer;

/// How all commands are to behave.
#[derive(Debug)]
pub(crate) struct Context {
    /// Where words go.
    pub(crate) printer: Printer,
    /// Which images of an index are wanted.
    pub(crate) platform: PlatformChoice,
    insecure: Insecure,
    nondistributable: Nondistributable,
    /// Where things are remembered between runs; `None`: they are not.
    cache: Option<PathBuf>,
    /// Shared by all clients of a command, and written at its end.
    registries: RegistryMemory,
    /// How hard single requests and copies are tried.
    pub(crate) retry: RetryPolicy,
}

impl Context {
    /// The meaning of `global`.
    pub(crate) fn new(global: &Global) -> Self {
        let nondistributable = match global.allow_nondistributable_artifacts {
            true => Nondistributable::Move,
            false => Nondistributable::Skip,
        };
        let cache = match global.no_cache {
            true => None,
            false => cache_directory(),
        };
        let registries = match &cache {
            Some(cache) => RegistryMemory::open(&cache.join("registries")),
            None => RegistryMemory::in_process(),
        };
        Context {
            cache,
            registries,
            printer: Printer::new(global.quiet),
            platform: global.platform.clone(),
            insecure: if global.insecure {
                Insecure::Yes
            } else {
                Insecure::No
            },
            nondistributable,
            retry: RetryPolicy {
                tries: global.retries.get(),
                ..RetryPolicy::default()
            },
        }
    }

    /// The one client of a command: all repositories share what it learns.
    ///
    /// # Errors
    /// Where the system's certificates cannot be used.
    pub(crate) fn client(&self) -> Result<Client> {
        self.client_with(self.registries.clone())
    }

    /// A client for a registry that nobody will meet again.
    ///
    /// # Errors
    /// As [`Context::client`].
    pub(crate) fn forgetful_client(&self) -> Result<Client> {
        self.client_with(RegistryMemory::in_process())
    }

    fn client_with(&self, memory: RegistryMemory) -> Result<Client> {
        Client::builder()
            .insecure(self.insecure)
            .memory(memory)
            .user_agent(concat!("wharf/", env!("CARGO_PKG_VERSION")))
            .build()
    }

    /// Keeps what the command learned of registries, however it ended. Blocking, briefly.
    pub(crate) fn save(&self) {
        self.registries.save();
    }

    /// The file in which layers that were compressed before are remembered, if there is a place.
    pub(crate) fn layer_memory(&self) -> Option<PathBuf> {
        Some(self.cache.as_ref()?.join("layers"))
    }

    /// What a copy may do, telling `observer`.
    pub(crate) fn copy_options(&self, moving: &Moving, observer: Arc<dyn Observer>) -> CopyOptions {
        CopyOptions {
            jobs: moving.jobs.get(),
            existing: if moving.force {
                Existing::Check
            } else {
                Existing::Trust
            },
            nondistributable: self.nondistributable,
            retry: self.retry,
            observer,
            ..CopyOptions::default()
        }
    }
}

/// Where the embedded registry keeps its content (XDG Base Directory Specification).
///
/// # Errors
/// [`ErrorKind::Invalid`] where the user has no home directory.
pub(crate) fn registry_directory() -> Result<PathBuf> {
    let base = base_directory("XDG_DATA_HOME", ".local/share").ok_or_else(|| {
        Error::new(
            ErrorKind::Invalid,
            "no data directory: neither XDG_DATA_HOME nor HOME is set",
        )
    })?;
    Ok(base.join("wharf/registry"))
}

/// Where things are remembered between runs, if there is a place.
fn cache_directory() -> Option<PathBuf> {
    Some(base_directory("XDG_CACHE_HOME", ".cache")?.join("wharf"))
}

/// The specification has relative paths in these variables ignored.
fn base_directory(variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |name: &str| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute(variable).or_else(|| Some(absolute("HOME")?.join(below_home)))
}
