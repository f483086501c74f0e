//! What a copy says while it works.
//!
//! Totals and progress add up: at the end the bytes advanced, existing and mounted are exactly
//! the bytes planned (wire.md P1); [`Tally`](super::Tally) does the sum.

use std::fmt::Debug;
use std::time::Duration;

use wharf_oci::{Descriptor, Repository};

use crate::Error;
use crate::layer::PendingLayer;
use crate::store::Outcome;

/// Told of everything that happens in a copy, in order for each blob. Must not block.
pub trait Observer: Debug + Send + Sync {
    /// Called from any thread, by one at a time; never after [`Event::Failed`].
    fn on(&self, event: Event<'_>);
}

/// One thing that happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The plan is made: so many bytes in so many blobs and manifests, as far as sizes are known.
    Planned {
        /// Sum of the sizes of all distinct content, in bytes.
        bytes: u64,
        /// Number of distinct blobs and manifests.
        nodes: usize,
    },
    /// Content whose size was not known when the plan was made adds it to the total now.
    Joined(&'a Descriptor),
    /// Content that was planned is not moved after all, and leaves the total: what was remembered of
    /// a layer is wrong, so it is made anew, and the manifest that names it is another.
    Dropped(&'a Descriptor),
    /// The store was asked for a blob; [`Event::Finished`] follows at once where it has it.
    Checked(&'a Descriptor),
    /// A blob was linked from this repository of the same registry; [`Event::Finished`] follows.
    Mounted(&'a Descriptor, &'a Repository),
    /// A blob's bytes begin to move, or a request that may save moving them is made.
    Started(&'a Descriptor),
    /// So many bytes of a blob have moved, counted from its beginning; a new try starts low again.
    Advanced(&'a Descriptor, u64),
    /// A try was given up for a transient reason and another follows; what it had moved counts
    /// no longer.
    Retried(&'a Descriptor, &'a Retry<'a>),
    /// An upload goes on at this offset in bytes, behind what the registry has kept of it.
    Resumed(&'a Descriptor, u64),
    /// A blob or manifest is in the store.
    Finished(&'a Descriptor, Outcome),
    /// A layer without a digest yet begins to move.
    LayerStarted(&'a PendingLayer),
    /// The upload of such a layer goes on at this offset in bytes, behind what the registry has.
    LayerResumed(&'a PendingLayer, u64),
    /// So many bytes of such a layer were sent, counted from its beginning.
    LayerAdvanced(&'a PendingLayer, u64),
    /// A try for such a layer was given up for a transient reason and another follows.
    LayerRetried(&'a PendingLayer, &'a Retry<'a>),
    /// Such a layer is in the store, and this is what it became.
    LayerFinished(&'a PendingLayer, &'a Descriptor),
    /// The last event of a copy that went wrong.
    Failed(&'a Error),
}

/// Why and when work is tried again.
#[derive(Clone, Copy, Debug)]
pub struct Retry<'a> {
    /// How many tries were made so far.
    pub tries: u32,
    /// How long it waits before the next.
    pub wait: Duration,
    /// What was wrong with the last.
    pub error: &'a Error,
}

/// Listens to nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn on(&self, _: Event<'_>) {}
}
