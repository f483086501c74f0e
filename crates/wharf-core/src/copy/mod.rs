//! The one operation: copies everything below some roots from a source to a store.
//!
//! Push, pull and copy are this call with other arguments. It plans (what does the store have?),
//! moves blobs, and commits manifests, children first and tags last.

mod commit;
mod content;
mod event;
mod execute;
mod in_turn;
mod intake;
mod order;
mod plan;
mod planner;
mod retry;
mod share;
mod single;
mod summary;
mod survey;
mod tally;
mod target;
mod tee;

pub use self::event::{Event, NoObserver, Observer, Retry, Subject, SubjectKey};
pub use self::execute::{Destination, copy, copy_to_all};
pub use self::plan::{Plan, Root, RootContent};
pub use self::retry::RetryPolicy;
pub use self::single::{push_blob, push_layer};
pub use self::summary::Summary;
pub use self::survey::{Fate, Survey, SurveyedManifest};
pub use self::tally::Tally;

use std::sync::Arc;

/// The options of a copy.
#[derive(Clone, Debug)]
pub struct CopyOptions {
    /// How many blobs are moved at once, 4 by default. Each costs a few mebibytes of memory.
    pub jobs: usize,
    /// How many existence checks run at once, 16 by default.
    pub checks: usize,
    /// Whether non-distributable ("foreign") layers are moved too.
    pub nondistributable: Nondistributable,
    /// Whether to trust a manifest that the store already has, or check what it links to.
    pub existing: Existing,
    /// When and how often work is tried again.
    pub retry: RetryPolicy,
    /// Receives the events; by default they are ignored.
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

/// The upper bound of `jobs` and `checks`: more is not worth its memory.
const MOST_AT_ONCE: usize = 1024;

impl CopyOptions {
    /// `jobs`, bounded.
    pub(crate) fn jobs(&self) -> usize {
        self.jobs.clamp(1, MOST_AT_ONCE)
    }

    /// `checks`, bounded.
    pub(crate) fn checks(&self) -> usize {
        self.checks.clamp(1, MOST_AT_ONCE)
    }
}

/// What happens to layers with a non-distributable ("foreign") media type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nondistributable {
    /// They are not moved. A client that pulls the image fetches them from their `urls`.
    #[default]
    Skip,
    /// They are moved like any other layer.
    Move,
}

/// Whether to trust a manifest that the store already has, or check what it links to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// Trust it: a store accepts no manifest without what it links to.
    #[default]
    Trust,
    /// Ask for everything below it, and move what is missing. This repairs a registry that lost
    /// content.
    Check,
}
