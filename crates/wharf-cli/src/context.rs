//! What the global flags and the user's environment mean, in one place for all commands.
//!
//! Environment variables are read here and nowhere else.

use std::env;
use std::io::IsTerminal;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::MultiProgress;
use wharf::copy::{CopyOptions, Existing, Nondistributable, Observer, RetryPolicy};
use wharf::credentials::{Chain, Credentials};
use wharf::layer::Times;
use wharf::memory::RegistryMemory;
use wharf::place::{PlaceOptions, PlatformChoice};
use wharf::remote::{Client, Exceptions, Insecure, Neighbour, Proxies, Proxy};
use wharf::{Error, ErrorKind, Result};

use crate::args::{Global, Moving};
use crate::ceilings::Ceilings;
use crate::embedded::Running;
use crate::leniencies::Leniencies;
use crate::logins::{self, Hidden, LoginArgs, Places};
use crate::pauses::Pauses;
use crate::printer::{Printer, Screen};
use crate::timing::Timing;
use crate::tls::{self, TlsArgs, TlsPlaces};

/// How all commands are to behave.
#[derive(Debug)]
pub(crate) struct Context {
    /// Where words go.
    pub(crate) printer: Printer,
    /// All bars of the command.
    pub(crate) bars: MultiProgress,
    /// Which images of an index are wanted.
    platform: PlatformChoice,
    insecure: Insecure,
    allow_near: Vec<Neighbour>,
    nondistributable: Nondistributable,
    timing: Timing,
    ceilings: Ceilings,
    tls: TlsArgs,
    /// Where credentials are looked for.
    pub(crate) logins: Places,
    /// Where things are remembered between runs; `None`: they are not.
    cache: Option<PathBuf>,
    /// Shared by all clients of a command, and written at its end unless that changes nothing.
    registries: RegistryMemory,
    effect: Effect,
    /// How hard single requests and copies are tried.
    pub(crate) retry: RetryPolicy,
    list_tries: NonZeroU32,
    chunk_size: Option<NonZeroU64>,
    hosts_directory: Option<PathBuf>,
    ending: Mutex<Ending>,
}

/// Whether a command leaves anything behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It does something, and remembers what it learned.
    Lasting,
    /// It says what it would do, and changes nothing, not even what is remembered.
    None,
}

/// What is to be ended in order when a command ends, however it does.
#[derive(Debug, Default)]
struct Ending {
    clients: Vec<Client>,
    servers: Vec<Running>,
}

/// How long a command that was given up waits for registries to hear of it.
const TIDYING: Duration = Duration::from_millis(700);

impl Context {
    /// The meaning of `global`, for a command that has this `effect`.
    pub(crate) fn new(global: &Global, effect: Effect) -> Self {
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
            effect,
            printer: Printer::new(global.progress(), screen()),
            bars: MultiProgress::new(),
            platform: global.platform.clone(),
            insecure: if global.insecure {
                Insecure::Yes
            } else {
                Insecure::No
            },
            allow_near: global.allow_near.clone(),
            nondistributable,
            timing: global.timing.clone(),
            ceilings: global.max_requests,
            tls: global.tls.clone(),
            logins: login_places(&global.logins),
            retry: global.timing.retry(global.retries.get()),
            list_tries: global.retries,
            chunk_size: global.chunk_size,
            hosts_directory: global.hosts_dir.clone().or_else(|| path("WHARF_HOSTS_DIR")),
            ending: Mutex::default(),
        }
    }

    /// The one client of a command: all repositories share what it learns.
    ///
    /// # Errors
    /// Where files of certificates or credentials cannot be used.
    pub(crate) fn client(&self) -> Result<Client> {
        self.client_showing(Arc::new(self.logins.credentials()?))
    }

    /// A client that shows these credentials and no others.
    ///
    /// # Errors
    /// As [`Context::client`].
    pub(crate) fn client_showing(&self, credentials: Arc<dyn Credentials>) -> Result<Client> {
        self.client_with(self.registries.clone(), credentials)
    }

    /// A client for a registry that nobody will meet again.
    ///
    /// # Errors
    /// As [`Context::client`].
    pub(crate) fn forgetful_client(&self) -> Result<Client> {
        self.client_with(RegistryMemory::in_process(), Arc::new(Chain::default()))
    }

    fn client_with(
        &self,
        memory: RegistryMemory,
        credentials: Arc<dyn Credentials>,
    ) -> Result<Client> {
        let pauses = Pauses {
            printer: self.printer,
            bars: self.bars.clone(),
        };
        let leniencies = Leniencies {
            printer: self.printer,
            bars: self.bars.clone(),
        };
        let mut builder = Client::builder()
            .insecure(self.insecure)
            .credentials(credentials)
            .memory(memory)
            .timeouts(self.timing.timeouts())
            .limits(self.ceilings.limits(self.timing.patience()))
            .list_tries(self.list_tries)
            .pause_observer(Arc::new(pauses))
            .leniency_observer(Arc::new(leniencies))
            .user_agent(concat!("wharf/", env!("CARGO_PKG_VERSION")));
        for neighbour in &self.allow_near {
            builder = builder.allow_near(neighbour.clone());
        }
        if let Some(cache) = &self.cache {
            builder = builder
                .sessions(cache.join("sessions"))
                .locks(cache.join("locks"));
        }
        if let Some(bytes) = self.chunk_size {
            builder = builder.chunk_size(bytes);
        }
        if let Some(directory) = &self.hosts_directory {
            builder = builder.hosts_directory(directory.clone());
        }
        let builder = self.tls.apply(tls_places(), builder)?;
        let client = builder.proxies(proxies()?).build()?;
        self.ending().clients.push(client.clone());
        Ok(client)
    }

    /// Has a server run until everything else has ended.
    pub(crate) fn keep_running(&self, server: Running) {
        self.ending().servers.push(server);
    }

    /// Ends what the command began, however it ended itself: registries are told of uploads that
    /// were given up, servers stop, and what was learned is kept.
    pub(crate) async fn end(&self) {
        let Ending { clients, servers } = std::mem::take(&mut *self.ending());
        for client in clients {
            client.tidy(TIDYING).await;
        }
        for server in servers {
            server.stop().await;
        }
        if self.effect == Effect::Lasting {
            self.registries.save();
        }
    }

    fn ending(&self) -> MutexGuard<'_, Ending> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How places are opened.
    pub(crate) fn place_options(&self) -> PlaceOptions {
        PlaceOptions {
            platform: self.platform.clone(),
            spool_dir: env::temp_dir(),
            layer_memory: self.cache.as_ref().map(|cache| cache.join("layers")),
        }
    }

    /// What a copy may do, telling `observer`.
    pub(crate) fn copy_options(&self, moving: &Moving, observer: Arc<dyn Observer>) -> CopyOptions {
        CopyOptions {
            jobs: moving.jobs.get(),
            checks: moving.checks.get(),
            existing: if moving.force {
                Existing::Check
            } else {
                Existing::Trust
            },
            nondistributable: self.nondistributable,
            retry: self.retry,
            observer,
        }
    }
}

/// What standard error can show: a terminal that says nothing of itself, or that it is dumb, does
/// not redraw.
pub(crate) fn screen() -> Screen {
    let able = env::var_os("TERM").is_some_and(|name| !name.is_empty() && name != "dumb");
    match std::io::stderr().is_terminal() && (able || cfg!(windows)) {
        true => Screen::Redraws,
        false => Screen::Lines,
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

/// The times in what is made of directories: those of `SOURCE_DATE_EPOCH`, where it is set
/// (<https://reproducible-builds.org/specs/source-date-epoch/>).
///
/// # Errors
/// [`ErrorKind::Invalid`] where it is no number of seconds.
pub(crate) fn source_date_epoch() -> Result<Times> {
    let Some(text) = env::var_os("SOURCE_DATE_EPOCH").filter(|text| !text.is_empty()) else {
        return Ok(Times::Kept);
    };
    let seconds = text.to_str().and_then(|text| text.parse().ok());
    seconds.map(Times::Fixed).ok_or_else(|| {
        Error::new(ErrorKind::Invalid, "not a number of seconds since 1970")
            .target("SOURCE_DATE_EPOCH")
    })
}

/// Where certificates are looked for: what OpenSSL's variables name is trusted beside whom the
/// system trusts.
fn tls_places() -> TlsPlaces {
    let directories = path("SSL_CERT_DIR").unwrap_or_default();
    TlsPlaces {
        roots: path("SSL_CERT_FILE"),
        // Whoever loads the system's takes that for a file which is not there.
        system_is_hidden: env::var_os("SSL_CERT_FILE").is_some_and(|value| value.is_empty()),
        root_directories: env::split_paths(&directories)
            .filter(|path| !path.as_os_str().is_empty())
            .collect(),
        system: tls::system_roots(),
        certs_dir: path("WHARF_CERTS_DIR"),
        certs: tls::usual_certs(path("HOME").as_deref()),
    }
}

/// The proxies that the environment names, in capitals or not, as other tools read it.
///
/// # Errors
/// [`ErrorKind::Invalid`] where a variable names none; it is not quoted.
fn proxies() -> Result<Proxies> {
    let text = |names: [&'static str; 2]| {
        names.into_iter().find_map(|name| {
            let value = env::var_os(name).filter(|value| !value.is_empty())?;
            Some((name, value.to_string_lossy().into_owned()))
        })
    };
    let proxy = |names| match text(names) {
        Some((name, url)) => {
            let proxy: Result<Proxy> = url.parse();
            proxy.map(Some).map_err(|error| error.target(name))
        }
        None => Ok(None),
    };
    let all = proxy(["ALL_PROXY", "all_proxy"])?;
    let except = text(["NO_PROXY", "no_proxy"]).unwrap_or_default().1;
    Ok(Proxies {
        http: proxy(["HTTP_PROXY", "http_proxy"])?.or(all.clone()),
        https: proxy(["HTTPS_PROXY", "https_proxy"])?.or(all),
        except: Exceptions::parse(&except),
    })
}

/// Where credentials are looked for: first what was given, then in the files.
fn login_places(flags: &LoginArgs) -> Places {
    let given = env::var_os(logins::VARIABLE);
    Places {
        flags: flags.creds.clone(),
        given: given.map(|text| Hidden::from(&*text.to_string_lossy())),
        files: match &flags.auth_file {
            Some(file) => vec![file.clone()],
            None => login_files(),
        },
        programs: env::var_os("PATH")
            .map(|path| env::split_paths(&path).collect())
            .unwrap_or_default(),
        named: flags.auth_file.is_some(),
    }
}

/// Files of credentials: first those that the user points to, then where other tools keep them.
/// Docker's file comes before Podman's, as in other tools.
fn login_files() -> Vec<PathBuf> {
    let below = |variable: &str, rest: &str| path(variable).map(|base| base.join(rest));
    // A directory, which may be yet to be made.
    let docker = path("DOCKER_CONFIG").map(|directory| directory.join("config.json"));
    let docker_first = docker.is_some();
    let docker = docker.or_else(|| below("HOME", ".docker/config.json"));
    let (podman, podman_told) = match path("REGISTRY_AUTH_FILE") {
        Some(file) => (vec![file], true),
        None => {
            let session = path("XDG_RUNTIME_DIR");
            let config = base_directory("XDG_CONFIG_HOME", ".config");
            let mut files = logins::podman_files(session, user(), config);
            // In a directory of somebody else's nothing is kept for us.
            files.retain(|file| !file.metadata().is_err_and(|error| denied(&error)));
            (files, false)
        }
    };
    let mut files: Vec<PathBuf> = docker.into_iter().collect();
    let at = if podman_told && !docker_first {
        0
    } else {
        files.len()
    };
    files.splice(at..at, podman);
    files
}

fn denied(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::PermissionDenied
}

/// The user's number, where Podman keeps logins by it.
fn user() -> Option<u32> {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::MetadataExt;
        // Whom a process runs as owns what the system says of it.
        std::fs::metadata("/proc/self").ok().map(|data| data.uid())
    }
    #[cfg(not(target_os = "linux"))]
    None
}

/// The path in a variable that is set and not empty.
fn path(variable: &str) -> Option<PathBuf> {
    let value = env::var_os(variable).filter(|value| !value.is_empty());
    value.map(PathBuf::from)
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
