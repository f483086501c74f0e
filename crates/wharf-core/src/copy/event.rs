//! The events of a copy.
//!
//! Totals and progress add up: at the end the bytes advanced, existing and mounted equal the bytes
//! planned (wire.md P1). [`Tally`](super::Tally) computes the sums.

use std::fmt;
use std::time::Duration;

use wharf_oci::{Descriptor, Digest, Repository, Tag};

use crate::Error;
use crate::layer::{LayerKey, PendingLayer};
use crate::store::Outcome;

/// Receives every event of a copy, in order for each blob. Must not block.
pub trait Observer: fmt::Debug + Send + Sync {
    /// Called from any thread, one call at a time; never after [`Event::Failed`].
    fn on(&self, event: Event<'_>);
}

/// One event of a copy.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The plan is made. Counts only content of known size.
    Planned {
        /// Sum of the sizes of all distinct content, in bytes.
        bytes: u64,
        /// Number of distinct blobs and manifests.
        nodes: usize,
    },
    /// A layer will be made on the way. It precedes [`Event::Planned`] for layers of the plan.
    Expected(&'a PendingLayer),
    /// Content of unknown size joins the total, now that its size is known.
    Joined(&'a Descriptor),
    /// Planned content is not moved. What was remembered of a layer was wrong, so the layer is made
    /// again and its manifest changes.
    Dropped(&'a Descriptor),
    /// The store was asked for a blob. If it has the blob, [`Event::Finished`] follows at once.
    Checked(&'a Descriptor),
    /// The registry linked a blob from this repository; [`Event::Finished`] follows.
    Mounted(&'a Descriptor, &'a Repository),
    /// Bytes begin to move, or a request is sent that may save moving them.
    Started(Subject<'a>),
    /// This many bytes have moved, counted from the beginning. A new try may restart lower.
    Advanced(Subject<'a>, u64),
    /// This many bytes of the tar of a layer were read to make what has moved. Follows
    /// [`Event::Started`], and precedes the next [`Event::Advanced`].
    Read(&'a PendingLayer, u64),
    /// A try failed with a transient error and another follows. The bytes it moved no longer count.
    Retried(Subject<'a>, &'a Retry<'a>),
    /// An upload continues at this offset in bytes, after the bytes that the registry kept.
    Resumed(Subject<'a>, u64),
    /// The content is in the store with this descriptor; for a layer, that of the made layer.
    Finished(Subject<'a>, &'a Descriptor, Outcome),
    /// The tags of a root are about to move to this manifest. All that it links to is in the store.
    Tagging(&'a Descriptor, &'a [Tag]),
    /// They have moved; [`Event::Finished`] follows.
    Tagged(&'a Descriptor, &'a [Tag]),
    /// The last event of a failed copy.
    Failed(&'a Error),
}

/// The subject of an event.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// A blob or manifest of known digest.
    Content(&'a Descriptor),
    /// A layer that has no digest until it was sent once.
    Layer(&'a PendingLayer),
}

impl Subject<'_> {
    /// Identifies it within its copy.
    pub fn key(self) -> SubjectKey {
        match self {
            Subject::Content(descriptor) => SubjectKey::Content(descriptor.digest.clone()),
            Subject::Layer(layer) => SubjectKey::Layer(layer.key().clone()),
        }
    }
}

impl<'a> From<&'a Descriptor> for Subject<'a> {
    fn from(content: &'a Descriptor) -> Self {
        Subject::Content(content)
    }
}

impl<'a> From<&'a PendingLayer> for Subject<'a> {
    fn from(layer: &'a PendingLayer) -> Self {
        Subject::Layer(layer)
    }
}

/// The key of a [`Subject`], for observers that keep state for each.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SubjectKey {
    /// Content of this digest.
    Content(Digest),
    /// A layer with this key.
    Layer(LayerKey),
}

/// Why and when work is tried again.
#[derive(Clone, Copy, Debug)]
pub struct Retry<'a> {
    /// The number of tries so far.
    pub tries: u32,
    /// The wait before the next try.
    pub wait: Duration,
    /// The error of the last try.
    pub error: &'a Error,
}

/// Ignores all events.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn on(&self, _: Event<'_>) {}
}
