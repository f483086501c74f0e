//! Reads the user's environment: the only file that reads variables and checks terminals.

use std::env;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use wharf::credentials::Environment;
use wharf::layer::Times;
use wharf::remote::{Exceptions, Proxies, Proxy};
use wharf::{Error, ErrorKind, Result};

use crate::printer::Screen;

/// The variable that holds credentials for one run.
pub(crate) const LOGINS: &str = "WHARF_AUTH";

/// The environment's settings for TLS.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsPlaces {
    /// A file of trusted certificates.
    pub(crate) roots: Option<PathBuf>,
    /// Directories of such files.
    pub(crate) root_directories: Vec<PathBuf>,
    /// The system's file of certificates, unless the environment names another.
    pub(crate) bundle: Option<PathBuf>,
    /// The system's directories, which are trusted too.
    pub(crate) system: Vec<PathBuf>,
    /// The directory of certificates by host, if the environment names one.
    pub(crate) certs_dir: Option<PathBuf>,
    /// The default directories of certificates by host.
    pub(crate) certs: Vec<PathBuf>,
}

/// What standard error can show. A terminal without a type, or of type `dumb`, does not redraw.
pub(crate) fn screen() -> Screen {
    let able = env::var_os("TERM").is_some_and(|name| !name.is_empty() && name != "dumb");
    match io::stderr().is_terminal() && (able || cfg!(windows)) {
        true => Screen::Redraws,
        false => Screen::Lines,
    }
}

/// Whether standard error is a terminal that may show colours (<https://no-color.org>).
pub(crate) fn has_colours() -> bool {
    let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stderr().is_terminal() && !unwanted
}

/// Whether a person at a terminal can be asked for input that is not shown.
pub(crate) fn can_ask() -> bool {
    cfg!(unix) && io::stdin().is_terminal()
}

/// Whether standard input is a terminal, where a command that reads it seems to hang.
pub(crate) fn types_input() -> bool {
    io::stdin().is_terminal()
}

/// The program as it was started: a name that is on the search path, or a path.
pub(crate) fn program() -> String {
    let program = env::args_os().next().unwrap_or_default();
    let program = program.to_string_lossy();
    let bare = |letter: char| letter.is_alphanumeric() || "/._-+".contains(letter);
    match program.is_empty() || !program.chars().all(bare) {
        true => "wharf".to_owned(),
        false => program.into_owned(),
    }
}

/// The directory of `hosts.toml` files, if a variable names one.
pub(crate) fn hosts_directory() -> Option<PathBuf> {
    path("WHARF_HOSTS_DIR")
}

/// The directory of the embedded registry's content (XDG Base Directory Specification).
///
/// # Errors
/// [`ErrorKind::Invalid`] if the user has no home directory.
pub(crate) fn registry_directory() -> Result<PathBuf> {
    let base = base_directory("XDG_DATA_HOME", ".local/share").ok_or_else(|| {
        Error::new(
            ErrorKind::Invalid,
            "no data directory: neither XDG_DATA_HOME nor HOME is set",
        )
    })?;
    Ok(base.join("wharf/registry"))
}

/// The cache directory, if there is one.
pub(crate) fn cache_directory() -> Option<PathBuf> {
    Some(base_directory("XDG_CACHE_HOME", ".cache")?.join("wharf"))
}

/// The times of entries in a tar of a directory: `SOURCE_DATE_EPOCH`, where it is set
/// (<https://reproducible-builds.org/specs/source-date-epoch/>).
///
/// # Errors
/// [`ErrorKind::Invalid`] if it is not a number of seconds.
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

/// The time that new content states: that of `SOURCE_DATE_EPOCH`, where it is set, else the present,
/// in seconds since 1970.
///
/// # Errors
/// As [`source_date_epoch`].
pub(crate) fn now() -> Result<u64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Ok(match source_date_epoch()? {
        Times::Fixed(seconds) => seconds,
        _ => since.map_or(0, |since| since.as_secs()),
    })
}

/// Where certificates are read from: the places in OpenSSL's variables, in addition to those of the
/// system.
pub(crate) fn tls_places() -> TlsPlaces {
    let directories = path("SSL_CERT_DIR").unwrap_or_default();
    let roots = path("SSL_CERT_FILE");
    TlsPlaces {
        bundle: match roots {
            Some(_) => None,
            None => openssl_probe::probe().cert_file,
        },
        roots,
        root_directories: env::split_paths(&directories)
            .filter(|path| !path.as_os_str().is_empty())
            .collect(),
        system: system_roots(),
        certs_dir: path("WHARF_CERTS_DIR"),
        certs: usual_certs(path("HOME").as_deref()),
    }
}

/// Where the system keeps trusted certificates, if it has directories for them.
fn system_roots() -> Vec<PathBuf> {
    openssl_probe::candidate_cert_dirs()
        .map(Path::to_owned)
        .collect()
}

/// The directories of certificates by host of Podman and Docker, in Podman's order; the user's own
/// are below `home`.
fn usual_certs(home: Option<&Path>) -> Vec<PathBuf> {
    let own = [".config/containers/certs.d", ".config/docker/certs.d"];
    let own = home.map(|home| own.map(|place| home.join(place)));
    let all = ["/etc/containers/certs.d", "/etc/docker/certs.d"];
    own.into_iter()
        .flatten()
        .chain(all.map(PathBuf::from))
        .collect()
}

/// The proxies of the environment, in upper or lower case, as in other tools.
///
/// # Errors
/// [`ErrorKind::Invalid`] if a variable is malformed; its value is not quoted.
pub(crate) fn proxies() -> Result<Proxies> {
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

/// The directory for temporary files.
pub(crate) fn temporary_directory() -> PathBuf {
    env::temp_dir()
}

/// The credentials in [`LOGINS`].
pub(crate) fn logins() -> Option<String> {
    env::var_os(LOGINS).map(|text| text.to_string_lossy().into_owned())
}

/// The places of credentials in this environment.
fn credentials() -> Environment {
    Environment::of(|name| env::var_os(name))
}

/// The system's search path for programs.
pub(crate) fn programs() -> Vec<PathBuf> {
    credentials().path
}

/// Files of credentials: first those that the user names, then those of other tools. Docker's file
/// precedes Podman's, as in other tools.
pub(crate) fn login_files() -> Vec<PathBuf> {
    credentials().files()
}

/// The path in a variable, if it is set and not empty.
fn path(variable: &str) -> Option<PathBuf> {
    let value = env::var_os(variable).filter(|value| !value.is_empty());
    value.map(PathBuf::from)
}

/// The specification says to ignore relative paths in these variables.
fn base_directory(variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |name: &str| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute(variable).or_else(|| Some(absolute("HOME")?.join(below_home)))
}
