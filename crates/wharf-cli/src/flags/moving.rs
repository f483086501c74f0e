//! Flags of commands that copy images.

use std::num::{NonZeroU64, NonZeroUsize};

use wharf::copy::{CopyOptions, Existing, RateLimit};

use super::Global;
use crate::units;

/// The flags of a copy.
#[derive(Debug, clap::Args)]
pub(crate) struct Moving {
    /// Blobs to transfer at once; by default 4 large or up to 32 small ones
    #[arg(short, long, value_name = "N")]
    #[arg(value_parser = units::at_least_one::<NonZeroUsize>)]
    pub(crate) jobs: Option<NonZeroUsize>,
    /// Existence checks at once
    #[arg(long, value_name = "N", default_value = "16")]
    #[arg(value_parser = units::at_least_one::<NonZeroUsize>)]
    pub(crate) checks: NonZeroUsize,
    /// Check every blob even if the manifest exists, and upload those that are missing
    #[arg(long)]
    pub(crate) force: bool,
    /// Move at most this many bytes per second, of all blobs together; with a unit: 500k, 10M, 1Gi
    #[arg(long, value_name = "RATE")]
    #[arg(value_parser = units::size)]
    pub(crate) limit_rate: Option<NonZeroU64>,
    /// Print what would be done, one line per blob, manifest and tag; change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the number of requests at the end, by kind
    #[arg(long)]
    pub(crate) stats: bool,
}

/// Whether a command changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It does its work, and remembers what it learned.
    Lasting,
    /// It says what it would do, and changes nothing, not even the memory.
    None,
}

impl Moving {
    /// Whether it moves anything.
    pub(crate) fn effect(&self) -> Effect {
        match self.dry_run {
            true => Effect::None,
            false => Effect::Lasting,
        }
    }

    /// How a copy works.
    pub(crate) fn options(&self, global: &Global) -> CopyOptions {
        let usual = global.copy_options();
        let jobs = self.jobs.map(NonZeroUsize::get);
        CopyOptions {
            jobs: jobs.unwrap_or(usual.jobs),
            large: jobs.unwrap_or(usual.large),
            checks: self.checks.get(),
            existing: match self.force {
                true => Existing::Check,
                false => Existing::Trust,
            },
            rate: self.limit_rate.map(RateLimit::new),
            ..usual
        }
    }
}
