//! Flags of commands that copy images.

use std::num::NonZeroUsize;
use std::sync::Arc;

use wharf::copy::{CopyOptions, Existing, Observer};

use super::Global;
use crate::units;

/// How content is moved, whatever the command.
#[derive(Debug, clap::Args)]
pub(crate) struct Moving {
    /// How many blobs are moved at once
    #[arg(short, long, value_name = "N", default_value = "4")]
    #[arg(value_parser = units::at_least_one::<NonZeroUsize>)]
    pub(crate) jobs: NonZeroUsize,
    /// How many are asked for at once whether they are there
    #[arg(long, value_name = "N", default_value = "16")]
    #[arg(value_parser = units::at_least_one::<NonZeroUsize>)]
    pub(crate) checks: NonZeroUsize,
    /// Look for every blob even behind a manifest that is there, and repair what is missing
    #[arg(long)]
    pub(crate) force: bool,
    /// Print what would be done, a line for each blob, manifest and tag, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Say at the end how many requests were made, by kind
    #[arg(long)]
    pub(crate) stats: bool,
}

/// Whether a command leaves anything behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It does something, and remembers what it learned.
    Lasting,
    /// It says what it would do, and changes nothing, not even what is remembered.
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

    /// What a copy may do, telling `observer`.
    pub(crate) fn options(&self, global: &Global, observer: Arc<dyn Observer>) -> CopyOptions {
        CopyOptions {
            jobs: self.jobs.get(),
            checks: self.checks.get(),
            existing: match self.force {
                true => Existing::Check,
                false => Existing::Trust,
            },
            ..global.copy_options(observer)
        }
    }
}
