//! A layer of an edited image.

use wharf_oci::{Descriptor, Digest};

use super::family;
use super::stored_layer::StoredLayer;
use crate::Result;
use crate::copy::RetryPolicy;
use crate::draft::{DraftLayer, RecalledLayer};
use crate::layer::{Family, PendingLayer};
use crate::store::Source;

/// A layer of an edited image: kept, or new.
#[derive(Clone, Debug)]
pub struct EditedLayer {
    layer: DraftLayer,
    diff_id: Option<Digest>,
}

impl EditedLayer {
    /// A layer that the source has, with its diff id.
    pub fn stored(descriptor: Descriptor, diff_id: Digest) -> Self {
        EditedLayer {
            layer: DraftLayer::Stored(descriptor),
            diff_id: Some(diff_id),
        }
    }

    /// A layer that is made while it is sent.
    pub fn pending(layer: PendingLayer) -> Self {
        EditedLayer {
            diff_id: layer.diff_id().cloned(),
            layer: DraftLayer::Pending(layer),
        }
    }

    /// A layer of a draft; `diff_id` is what the config states.
    pub(super) fn new(layer: DraftLayer, diff_id: Option<Digest>) -> Self {
        EditedLayer { layer, diff_id }
    }

    /// Media type, digest and size, if they are known.
    pub fn descriptor(&self) -> Option<&Descriptor> {
        match &self.layer {
            DraftLayer::Stored(descriptor) => Some(descriptor),
            DraftLayer::Recalled(recalled) => Some(&recalled.descriptor),
            DraftLayer::Pending(_) => None,
        }
    }

    /// The digest of its uncompressed tar, if it is known.
    pub fn diff_id(&self) -> Option<&Digest> {
        self.diff_id.as_ref()
    }

    /// The layer, to be read before it is sent.
    ///
    /// # Errors
    /// As [`StoredLayer::of_draft`].
    pub(super) fn readable(&self, source: &dyn Source, retry: RetryPolicy) -> Result<StoredLayer> {
        StoredLayer::of_draft(&self.layer, source, retry)
    }

    /// Whether its diff id is learned only when it is sent.
    pub(super) fn is_pending(&self) -> bool {
        matches!(self.layer, DraftLayer::Pending(_))
    }

    /// The layer in a draft of this family.
    pub(super) fn into_draft(self, of: Family) -> DraftLayer {
        let converted = |descriptor: Descriptor| Descriptor {
            media_type: family::layer(&descriptor.media_type, of),
            ..descriptor
        };
        match self.layer {
            DraftLayer::Stored(descriptor) => DraftLayer::Stored(converted(descriptor)),
            DraftLayer::Recalled(recalled) => DraftLayer::Recalled(RecalledLayer {
                descriptor: converted(recalled.descriptor),
                ..recalled
            }),
            DraftLayer::Pending(pending) => DraftLayer::Pending(pending),
        }
    }
}
