//! What a copy says while it works.
//!
//! Totals and progress add up: at the end the bytes advanced, existing and mounted are exactly
//! the bytes planned (PUSH.md P1).

use std::fmt::Debug;

use wharf_oci::Descriptor;

use crate::Error;
use crate::layer::PendingLayer;
use crate::store::Outcome;

/// Told of everything that happens in a copy, in order for each blob. Must not block.
pub trait Observer: Debug + Send + Sync {
    /// Called from the task that runs the copy.
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
    /// A blob's bytes begin to move.
    Started(&'a Descriptor),
    /// So many bytes of a blob have moved, counted from its beginning; a new try starts low again.
    Advanced(&'a Descriptor, u64),
    /// A try was given up for a transient reason and another follows.
    Retried(&'a Descriptor, &'a Error),
    /// A blob or manifest is in the store.
    Finished(&'a Descriptor, Outcome),
    /// A layer without a digest yet begins to move.
    LayerStarted(&'a PendingLayer),
    /// So many bytes of such a layer were sent in this try.
    LayerAdvanced(&'a PendingLayer, u64),
    /// A try for such a layer was given up for a transient reason and another follows.
    LayerRetried(&'a PendingLayer, &'a Error),
    /// Such a layer is in the store, and this is what it became.
    LayerFinished(&'a PendingLayer, &'a Descriptor),
    /// The last event of a copy that went wrong.
    Failed(&'a Error),
}

/// Listens to nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn on(&self, _: Event<'_>) {}
}
