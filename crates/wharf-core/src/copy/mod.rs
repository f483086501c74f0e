//! The one operation: everything below some roots goes from a source to a store.
//!
//! Push, pull and copy are this call with other arguments. It plans (what is there already?),
//! moves blobs, and commits manifests, children first and tags last.

mod commit;
mod content;
mod event;
mod execute;
mod in_turn;
mod intake;
mod making;
mod order;
mod plan;
mod planner;
mod retry;
mod single;
mod summary;
mod survey;
mod tally;
mod target;
mod tee;

pub use self::event::{Event, NoObserver, Observer, Retry, Subject, SubjectKey};
pub use self::execute::{Destination, copy, copy_to_all};
pub use self::plan::{Plan, PlannedDraft, PlannedManifest, Root, RootContent};
pub use self::retry::RetryPolicy;
pub use self::single::{push_blob, push_layer};
pub use self::summary::Summary;
pub use self::survey::{Fate, Survey, SurveyedManifest};
pub use self::tally::Tally;

use std::sync::Arc;

/// What a copy may do, and how hard it tries.
#[derive(Clone, Debug)]
pub struct CopyOptions {
    /// How many blobs are moved at once, 4 by default. Each costs a few mebibytes of memory.
    pub jobs: usize,
    /// How many cheap questions (is it there?) are asked at once, 16 by default.
    pub checks: usize,
    /// Whether non-distributable ("foreign") layers are moved too.
    pub nondistributable: Nondistributable,
    /// Whether to trust a manifest that the store already has, or check what it links to.
    pub existing: Existing,
    /// When and how often work is tried again.
    pub retry: RetryPolicy,
    /// Who is told of progress; by default nobody.
    pub observer: Arc<dyn Observer>,
}

impl Default for CopyOptions {
    fn default() -> Self {
        CopyOptions {
            jobs: 4,
            checks: 16,
            nondistributable: Nondistributable::Skip,
            existing: Existing::Trust,
            retry: RetryPolicy::default(),
            observer: Arc::new(NoObserver),
        }
    }
}

/// More of anything at once is not worth its memory.
const MOST_AT_ONCE: usize = 1024;

impl CopyOptions {
    /// `jobs` within reason.
    pub(crate) fn jobs(&self) -> usize {
        self.jobs.clamp(1, MOST_AT_ONCE)
    }

    /// `checks` within reason.
    pub(crate) fn checks(&self) -> usize {
        self.checks.clamp(1, MOST_AT_ONCE)
    }
}

/// What happens to layers with a non-distributable ("foreign") media type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nondistributable {
    /// They stay where they are; whoever pulls the image fetches them from their `urls`.
    #[default]
    Skip,
    /// They are moved as any other layer.
    Move,
}

/// What is made of a manifest that the store has already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// What it links to is there too, as a store takes no manifest without.
    #[default]
    Trust,
    /// Everything below it is asked for, and what is missing is moved again: this repairs a
    /// registry that lost content.
    Check,
}
