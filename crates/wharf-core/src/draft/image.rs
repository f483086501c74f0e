//! An image without a digest yet, because some of its layers are still to be made.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use wharf_oci::{Descriptor, Digest, ImageManifest, Manifest, MediaType, compact_json};

use super::fields::ManifestFields;
use crate::blob::Blob;
use crate::layer::{LayerKey, MadeLayer, PendingLayer};
use crate::{Error, ErrorKind, Result};

type ConfigMaker = dyn Fn(&[Digest]) -> Result<Bytes> + Send + Sync;

/// An image with layers that are made while they are sent.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The media type of the future manifest.
    pub media_type: MediaType,
    /// The config blob, or how to make it.
    pub config: DraftConfig,
    /// From the base up.
    pub layers: Vec<DraftLayer>,
    /// What else the manifest says.
    pub fields: ManifestFields,
}

/// The config of a draft.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "an image has one config")]
pub enum DraftConfig {
    /// The source has it; it is sent beside the layers.
    Stored(Descriptor),
    /// It names diff ids that are learned only when the layers are sent; it is sent after them.
    Later(LaterConfig),
}

impl DraftConfig {
    /// The config blob, if it is known from the start.
    pub fn stored(&self) -> Option<&Descriptor> {
        match self {
            DraftConfig::Stored(descriptor) => Some(descriptor),
            DraftConfig::Later(_) => None,
        }
    }
}

/// A config that is made once the diff ids of all pending layers are known.
#[derive(Clone)]
pub struct LaterConfig {
    media_type: MediaType,
    make: Arc<ConfigMaker>,
}

impl LaterConfig {
    /// A config of `media_type` that `make` writes, given the diff ids of the draft's pending
    /// layers from the base up. `make` must know those of the stored layers itself.
    pub fn new<F>(media_type: MediaType, make: F) -> Self
    where
        F: Fn(&[Digest]) -> Result<Bytes> + Send + Sync + 'static,
    {
        LaterConfig {
            media_type,
            make: Arc::new(make),
        }
    }
}

impl fmt::Debug for LaterConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LaterConfig")
            .field("media_type", &self.media_type)
            .finish_non_exhaustive()
    }
}

/// One layer of a draft.
#[derive(Clone, Debug)]
pub enum DraftLayer {
    /// Digest and size are known and the source has it.
    Stored(Descriptor),
    /// Digest and size are remembered from an earlier making.
    Recalled(RecalledLayer),
    /// It is made while it is sent.
    Pending(PendingLayer),
}

impl From<Descriptor> for DraftLayer {
    fn from(stored: Descriptor) -> Self {
        DraftLayer::Stored(stored)
    }
}

/// A layer that an earlier run made, according to memory.
#[derive(Clone, Debug)]
pub struct RecalledLayer {
    /// Its descriptor then. The source provides the bytes: it makes them again, and checks them.
    pub descriptor: Descriptor,
    /// How to make it if it turns out different.
    pub layer: PendingLayer,
}

/// A finished draft, made by [`Draft::finish`].
#[derive(Clone, Debug)]
pub struct FinishedDraft {
    /// The config, if it was made just now; it must be sent before the manifest.
    pub config: Option<Blob>,
    /// The image manifest.
    pub manifest: Manifest,
}

impl Draft {
    /// The layers that are still to be made, each once.
    pub fn pending(&self) -> Vec<&PendingLayer> {
        let mut seen = HashSet::new();
        self.all_pending()
            .filter(|pending| seen.insert(pending.key()))
            .collect()
    }

    fn all_pending(&self) -> impl Iterator<Item = &PendingLayer> {
        self.layers.iter().filter_map(|layer| match layer {
            DraftLayer::Pending(pending) => Some(pending),
            DraftLayer::Stored(_) | DraftLayer::Recalled(_) => None,
        })
    }

    /// The layers that the source has.
    pub fn stored(&self) -> impl Iterator<Item = &Descriptor> {
        self.layers.iter().filter_map(|layer| match layer {
            DraftLayer::Stored(descriptor) => Some(descriptor),
            DraftLayer::Recalled(recalled) => Some(&recalled.descriptor),
            DraftLayer::Pending(_) => None,
        })
    }

    /// The stored layers with a digest known only from memory.
    pub fn recalled(&self) -> impl Iterator<Item = &RecalledLayer> {
        self.layers.iter().filter_map(|layer| match layer {
            DraftLayer::Recalled(recalled) => Some(recalled),
            DraftLayer::Stored(_) | DraftLayer::Pending(_) => None,
        })
    }

    /// Whether no layer is left to make.
    pub fn is_complete(&self) -> bool {
        self.config.stored().is_some() && self.all_pending().next().is_none()
    }

    /// The image manifest, and the config if it is made late. `made` has each pending layer, and
    /// each recalled layer that turned out different.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if a layer is missing from `made`, or is not a layer; the error of
    /// the config's maker.
    pub fn finish(&self, made: &HashMap<LayerKey, MadeLayer>) -> Result<FinishedDraft> {
        let layers = self
            .layers
            .iter()
            .map(|layer| match layer {
                DraftLayer::Stored(descriptor) => Ok(descriptor.clone()),
                DraftLayer::Recalled(recalled) => {
                    let made = made.get(recalled.layer.key());
                    let made = made.map_or(&recalled.descriptor, |made| &made.descriptor);
                    Ok(made.clone())
                }
                DraftLayer::Pending(pending) => Ok(find(made, pending)?.descriptor.clone()),
            })
            .collect::<Result<Vec<_>>>()?;
        let (config, made_config) = match &self.config {
            DraftConfig::Stored(descriptor) => (descriptor.clone(), None),
            DraftConfig::Later(later) => {
                let blob = self.make_config(later, made)?;
                (blob.descriptor().clone(), Some(blob))
            }
        };
        Ok(FinishedDraft {
            config: made_config,
            manifest: self.written(config, layers)?,
        })
    }

    fn written(&self, config: Descriptor, layers: Vec<Descriptor>) -> Result<Manifest> {
        let fields = self.fields.clone();
        let document = ImageManifest {
            schema_version: 2,
            media_type: Some(self.media_type.clone()),
            artifact_type: fields.artifact_type,
            config,
            layers,
            subject: fields.subject,
            annotations: fields.annotations,
            extra: fields.extra,
        };
        let bytes = compact_json(&document)
            .map_err(|error| Error::new(ErrorKind::Invalid, "manifest").source(error))?;
        Ok(Manifest::parse(Some(&self.media_type), Bytes::from(bytes))?)
    }

    fn make_config(
        &self,
        later: &LaterConfig,
        made: &HashMap<LayerKey, MadeLayer>,
    ) -> Result<Blob> {
        let diff_id = |pending| {
            let diff_id = find(made, pending)?.diff_id.clone();
            diff_id.ok_or_else(|| {
                let message = "has no diff id: it is a blob, not a layer";
                Error::new(ErrorKind::Invalid, message).target(pending.name())
            })
        };
        let diff_ids = self
            .all_pending()
            .map(diff_id)
            .collect::<Result<Vec<_>>>()?;
        let bytes = (later.make)(&diff_ids)?;
        let descriptor = Descriptor::new(
            later.media_type.clone(),
            Digest::of(&bytes),
            bytes.len() as u64,
        );
        Ok(Blob::from_bytes(descriptor, bytes))
    }
}

fn find<'a>(
    made: &'a HashMap<LayerKey, MadeLayer>,
    pending: &PendingLayer,
) -> Result<&'a MadeLayer> {
    made.get(pending.key())
        .ok_or_else(|| Error::new(ErrorKind::Invalid, "layer was not made").target(pending.name()))
}
