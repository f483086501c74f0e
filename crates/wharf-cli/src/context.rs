//! What the global flags and the user's environment mean, in one place for all commands.
//!
//! Environment variables are read here and nowhere else.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;

use indicatif::MultiProgress;
use wharf::copy::{CopyOptions, Existing, Nondistributable, Observer, RetryPolicy};
use wharf::layer::Times;
use wharf::remote::{Client, Insecure};
use wharf::{Error, ErrorKind, Result};

use crate::args::{Global, Moving, PlatformChoice};
use crate::pauses::Pauses;
use crate::printer::Printer;
use crate::timing::Timing;

/// How all commands are to behave.
#[derive(Debug)]
pub(crate) struct Context {
    /// Where words go.
    pub(crate) printer: Printer,
    /// All bars of the command.
    pub(crate) bars: MultiProgress,
    /// Which images of an index are wanted.
    pub(crate) platform: PlatformChoice,
    insecure: Insecure,
    nondistributable: Nondistributable,
    timing: Timing,
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
            printer: Printer::new(global.progress()),
            bars: MultiProgress::new(),
            platform: global.platform.clone(),
            insecure: if global.insecure {
                Insecure::Yes
            } else {
                Insecure::No
            },
            nondistributable,
            timing: global.timing.clone(),
            retry: global.timing.retry(global.retries.get()),
        }
    }

    /// The one client of a command: all repositories share what it learns.
    ///
    /// # Errors
    /// Where the system's certificates cannot be used.
    pub(crate) fn client(&self) -> Result<Client> {
        let pauses = Pauses {
            printer: self.printer,
            bars: self.bars.clone(),
        };
        Client::builder()
            .insecure(self.insecure)
            .timeouts(self.timing.timeouts())
            .limits(self.timing.limits())
            .pause_observer(Arc::new(pauses))
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

/// The specification has relative paths in these variables ignored.
fn base_directory(variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |name: &str| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute(variable).or_else(|| Some(absolute("HOME")?.join(below_home)))
}
