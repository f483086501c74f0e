//! What the global flags and the user's environment mean, in one place for all commands.
//!
//! Environment variables are read here and nowhere else.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;

use wharf::copy::{CopyOptions, Existing, Nondistributable, Observer, RetryPolicy};
use wharf::credentials::Credentials;
use wharf::remote::{Client, Insecure};
use wharf::{Error, ErrorKind, Result};

use crate::args::{Global, Moving, PlatformChoice};
use crate::logins::{self, Places};
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
        Context {
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
        self.client_showing(Arc::new(login_places().credentials()?))
    }

    /// A client that shows these credentials and no others.
    ///
    /// # Errors
    /// As [`Context::client`].
    pub(crate) fn client_showing(&self, credentials: Arc<dyn Credentials>) -> Result<Client> {
        Client::builder()
            .insecure(self.insecure)
            .credentials(credentials)
            .user_agent(concat!("wharf/", env!("CARGO_PKG_VERSION")))
            .build()
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

/// The file in which layers that were compressed before are remembered, if there is a place.
pub(crate) fn layer_memory() -> Option<PathBuf> {
    Some(base_directory("XDG_CACHE_HOME", ".cache")?.join("wharf/layers"))
}

/// Where credentials are looked for: first what the user points to, then where other tools keep
/// them. Docker's file comes before Podman's, as in other tools.
pub(crate) fn login_places() -> Places {
    let path = |variable: &str| {
        env::var_os(variable)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let below = |variable: &str, rest: &str| path(variable).map(|base| base.join(rest));
    // A directory, which may be yet to be made.
    let docker = path("DOCKER_CONFIG").map(|directory| directory.join("config.json"));
    let docker_first = docker.is_some();
    let docker = docker.or_else(|| below("HOME", ".docker/config.json"));
    let (podman, podman_told) = match path("REGISTRY_AUTH_FILE") {
        Some(file) => (vec![file], true),
        None => {
            let user = base_directory("XDG_CONFIG_HOME", ".config");
            let places = [
                below("XDG_RUNTIME_DIR", "containers/auth.json"),
                user.map(|base| base.join("containers/auth.json")),
            ];
            (places.into_iter().flatten().collect(), false)
        }
    };
    let mut files: Vec<PathBuf> = docker.into_iter().collect();
    let at = if podman_told && !docker_first {
        0
    } else {
        files.len()
    };
    files.splice(at..at, podman);
    let given = env::var_os(logins::VARIABLE);
    Places {
        given: given.map(|text| text.to_string_lossy().into_owned()),
        files,
    }
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
