//! Flags of every command.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::sync::Arc;

use clap::ArgAction;
use wharf::copy::{CopyOptions, Nondistributable};
use wharf::credentials::CredentialsObserver;
use wharf::place::PlatformChoice;
use wharf::remote::Neighbour;

use super::ceilings::Ceilings;
use super::logins::{LoginArgs, Logins};
use super::platforms::{self, PlatformWord};
use super::timing::Timing;
use super::tls::TlsArgs;
use crate::printer::ProgressChoice;
use crate::units;

/// Flags of every command. Rarely used ones are not in the short help.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = Global::HEADING)]
pub(crate) struct Global {
    /// Use only the image for this platform of an index, OS/ARCH[/VARIANT][:OSVERSION], or `all`
    #[arg(long, global = true, value_name = "PLATFORM", value_delimiter = ',')]
    platform: Vec<PlatformWord>,
    /// Allow plain HTTP, and certificates that cannot be verified
    #[arg(long, global = true)]
    pub(super) insecure: bool,
    /// How to show progress on standard error
    #[arg(long, global = true, value_name = "HOW", default_value = "auto")]
    progress: ProgressChoice,
    /// Print nothing but errors on standard error, as with --progress none
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Log each step to standard error; -vv also each request, -vvv also documents and details
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    #[command(flatten)]
    pub(super) requests: Requests,
    #[command(flatten)]
    pub(super) logins: LoginArgs,
    #[command(flatten)]
    pub(super) tls: TlsArgs,
    #[command(flatten)]
    pub(super) timing: Timing,
}

/// Flags about requests to registries.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Requests")]
pub(super) struct Requests {
    /// Let public registries redirect to this private or loopback host, address or network
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_name = "HOST[:PORT]"
    )]
    pub(super) allow_near: Vec<Neighbour>,
    /// Also copy layers that are marked as not distributable
    #[arg(long, global = true, hide_short_help = true)]
    pub(super) allow_nondistributable_artifacts: bool,
    /// How often a request or a transfer that failed is tried again; 0 tries once
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_name = "N",
        default_value = "4"
    )]
    #[arg(value_parser = units::whole)]
    pub(super) retries: u32,
    /// Ignore the cache of earlier runs, and do not write it
    #[arg(long, global = true, hide_short_help = true)]
    no_cache: bool,
    /// Upload blobs in requests of at most this size; without it, only registries that refuse large
    /// requests get smaller ones
    #[arg(long, global = true, hide_short_help = true, value_name = "BYTES")]
    #[arg(value_parser = units::size)]
    pub(super) chunk_size: Option<NonZeroU64>,
    /// Limit the requests that one registry gets at once: KIND=N, separated by commas, with
    /// the kinds checks, opens, sends, manifests and reads
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_name = "KIND=N,…",
        default_value_t
    )]
    pub(super) max_requests: Ceilings,
    /// Read from the mirrors in DIR/HOST[:PORT]/hosts.toml, as containerd does (also: WHARF_HOSTS_DIR)
    #[arg(long, global = true, hide_short_help = true, value_name = "DIR")]
    pub(super) hosts_dir: Option<PathBuf>,
}

impl Requests {
    /// The number of tries: the first one, and the retries.
    pub(super) fn tries(&self) -> NonZeroU32 {
        NonZeroU32::MIN.saturating_add(self.retries)
    }
}

impl Global {
    /// The heading of these flags in the help of a command.
    pub(crate) const HEADING: &str = "Global options (see all: wharf help options)";

    /// How to show progress.
    pub(crate) fn progress(&self) -> ProgressChoice {
        match self.quiet {
            true => ProgressChoice::None,
            false => self.progress,
        }
    }

    /// The image to use out of an index: the last of several platforms counts.
    pub(crate) fn platform(&self) -> PlatformChoice {
        platforms::last(&self.platform)
    }

    /// All platforms, for commands that take several.
    pub(crate) fn platforms(&self) -> &[PlatformWord] {
        &self.platform
    }

    /// The sources of credentials. Those that cannot be used are reported to `observer`.
    pub(crate) fn logins(&self, observer: Arc<dyn CredentialsObserver>) -> Logins {
        self.logins.logins(observer)
    }

    /// Whether anything is kept between runs.
    pub(crate) fn keeps_cache(&self) -> bool {
        !self.requests.no_cache
    }

    /// How any copy works.
    pub(crate) fn copy_options(&self) -> CopyOptions {
        CopyOptions {
            nondistributable: match self.requests.allow_nondistributable_artifacts {
                true => Nondistributable::Move,
                false => Nondistributable::Skip,
            },
            retry: self.timing.retry(self.requests.tries().get()),
            ..CopyOptions::default()
        }
    }
}
