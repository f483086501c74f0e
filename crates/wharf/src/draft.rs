//! An image that cannot be named yet, because layers of it are still to be made.
//!
//! A draft becomes a manifest when every pending layer has been ingested, and never before.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use wharf_oci::{Descriptor, Digest, Manifest, MediaType};

use crate::blob::ByteStream;
use crate::{Error, ErrorKind, Result};

type Producer = dyn Fn() -> BoxFuture<'static, Result<ByteStream>> + Send + Sync;
type Learned = dyn Fn(&Descriptor) + Send + Sync;

/// An image whose config is known and some of whose layers are made while they are sent.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Media type of the manifest to be.
    pub media_type: MediaType,
    /// The config blob, which the source has.
    pub config: Descriptor,
    /// From the base up.
    pub layers: Vec<DraftLayer>,
}

/// One layer of a draft.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "an image has few layers")]
pub enum DraftLayer {
    /// Digest and size are known and the source has it.
    Stored(Descriptor),
    /// It is made while it is sent.
    Pending(PendingLayer),
}

/// A layer that has no digest before it was sent once.
#[derive(Clone)]
pub struct PendingLayer {
    diff_id: Digest,
    size: u64,
    media_type: MediaType,
    produce: Arc<Producer>,
    learned: Option<Arc<Learned>>,
}

impl PendingLayer {
    /// A layer of `media_type` whose uncompressed tar has digest `diff_id` and `size` bytes;
    /// `produce` starts making its bytes, again each time it is called.
    pub fn new<F>(diff_id: Digest, size: u64, media_type: MediaType, produce: F) -> Self
    where
        F: Fn() -> BoxFuture<'static, Result<ByteStream>> + Send + Sync + 'static,
    {
        PendingLayer {
            diff_id,
            size,
            media_type,
            produce: Arc::new(produce),
            learned: None,
        }
    }

    /// Has `learned` told the descriptor once the layer is in a store: a memory of layers made.
    #[must_use]
    pub fn on_learned(mut self, learned: impl Fn(&Descriptor) + Send + Sync + 'static) -> Self {
        self.learned = Some(Arc::new(learned));
        self
    }

    /// Digest of the uncompressed tar (image-spec: "Layer DiffID").
    pub fn diff_id(&self) -> &Digest {
        &self.diff_id
    }

    /// Bytes of the uncompressed tar.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What the layer will be once made.
    pub fn media_type(&self) -> &MediaType {
        &self.media_type
    }

    /// Starts making the layer's bytes, from the beginning.
    ///
    /// # Errors
    /// What the producer says when it cannot start.
    pub async fn open(&self) -> Result<ByteStream> {
        (self.produce)().await
    }

    pub(crate) fn tell(&self, descriptor: &Descriptor) {
        if let Some(learned) = &self.learned {
            learned(descriptor);
        }
    }
}

impl fmt::Debug for PendingLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingLayer")
            .field("diff_id", &self.diff_id)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl Draft {
    /// The layers that are still to be made, each diff id once.
    pub fn pending(&self) -> Vec<&PendingLayer> {
        let mut seen = std::collections::HashSet::new();
        self.layers
            .iter()
            .filter_map(|layer| match layer {
                DraftLayer::Pending(pending) => Some(pending),
                DraftLayer::Stored(_) => None,
            })
            .filter(|pending| seen.insert(&pending.diff_id))
            .collect()
    }

    /// The layers that the source has.
    pub fn stored(&self) -> impl Iterator<Item = &Descriptor> {
        self.layers.iter().filter_map(|layer| match layer {
            DraftLayer::Stored(descriptor) => Some(descriptor),
            DraftLayer::Pending(_) => None,
        })
    }

    /// The image manifest, given what each pending layer (by diff id) became.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where a layer is missing from `made`.
    pub fn finish(&self, made: &HashMap<Digest, Descriptor>) -> Result<Manifest> {
        let layers = self
            .layers
            .iter()
            .map(|layer| match layer {
                DraftLayer::Stored(descriptor) => Ok(descriptor),
                DraftLayer::Pending(pending) => made.get(&pending.diff_id).ok_or_else(|| {
                    Error::new(ErrorKind::Invalid, "layer was not made").target(&pending.diff_id)
                }),
            })
            .collect::<Result<Vec<_>>>()?;
        let document = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": self.media_type,
            "config": self.config,
            "layers": layers,
        });
        let bytes = Bytes::from(document.to_string());
        Ok(Manifest::parse(Some(&self.media_type), bytes)?)
    }
}
