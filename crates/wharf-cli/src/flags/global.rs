//! Flags that every command takes.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::sync::Arc;

use clap::ArgAction;
use wharf::copy::{CopyOptions, Nondistributable, Observer, RetryPolicy};
use wharf::place::PlatformChoice;
use wharf::remote::Neighbour;

use super::ceilings::Ceilings;
use super::logins::{LoginArgs, Logins};
use super::timing::Timing;
use super::tls::TlsArgs;
use crate::printer::ProgressChoice;
use crate::units;

/// Flags that every command takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Allow plain http and untrusted certificates
    #[arg(long, global = true)]
    pub(super) insecure: bool,
    /// Let registries in the world send us to this host, address or network next to us
    #[arg(long, global = true, value_name = "HOST[:PORT]")]
    pub(super) allow_near: Vec<Neighbour>,
    /// Take only the image for this platform, OS/ARCH[/VARIANT][:OSVERSION]
    #[arg(long, global = true, value_name = "PLATFORM", default_value = "all")]
    pub(crate) platform: PlatformChoice,
    /// Move layers too that are marked as not distributable
    #[arg(long, global = true)]
    pub(super) allow_nondistributable_artifacts: bool,
    /// How often work is tried before it is given up
    #[arg(long, global = true, value_name = "N", default_value = "5")]
    #[arg(value_parser = units::at_least_one::<NonZeroU32>)]
    pub(super) retries: NonZeroU32,
    /// Neither use nor keep what was learned of layers and registries in earlier runs
    #[arg(long, global = true)]
    pub(crate) no_cache: bool,
    /// Send blobs in requests of at most so many bytes; found out by itself where a registry refuses
    /// large ones
    #[arg(long, global = true, value_name = "BYTES", value_parser = units::size)]
    pub(super) chunk_size: Option<NonZeroU64>,
    /// How many requests of each kind one registry is sent at once, at the most: KIND=N with the kinds
    /// checks, opens, sends, manifests and reads, separated by commas
    #[arg(long, global = true, value_name = "KIND=N,…", default_value_t)]
    pub(super) max_requests: Ceilings,
    /// Read from the mirrors that DIR/HOST[:PORT]/hosts.toml names for a registry, as containerd does
    /// (also: WHARF_HOSTS_DIR)
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) hosts_dir: Option<PathBuf>,
    /// Say more on standard error; twice or thrice for even more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// How to show on standard error what is done
    #[arg(long, global = true, value_name = "HOW", default_value = "auto")]
    progress: ProgressChoice,
    /// Say nothing on standard error but errors, as --progress none
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    #[command(flatten)]
    pub(super) logins: LoginArgs,
    #[command(flatten)]
    pub(super) tls: TlsArgs,
    #[command(flatten)]
    pub(super) timing: Timing,
}

impl Global {
    /// How to show what is done.
    pub(crate) fn progress(&self) -> ProgressChoice {
        match self.quiet {
            true => ProgressChoice::None,
            false => self.progress,
        }
    }

    /// Where credentials are looked for.
    pub(crate) fn logins(&self) -> Logins {
        self.logins.logins()
    }

    /// How hard single requests and copies are tried.
    pub(crate) fn retry(&self) -> RetryPolicy {
        self.timing.retry(self.retries.get())
    }

    /// What any copy may do, telling `observer`.
    pub(crate) fn copy_options(&self, observer: Arc<dyn Observer>) -> CopyOptions {
        CopyOptions {
            nondistributable: match self.allow_nondistributable_artifacts {
                true => Nondistributable::Move,
                false => Nondistributable::Skip,
            },
            retry: self.retry(),
            observer,
            ..CopyOptions::default()
        }
    }
}
