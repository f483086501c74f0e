//! An index without a digest yet, because images below it are still to be made.

use std::collections::HashMap;

use bytes::Bytes;
use wharf_oci::{Descriptor, Index, Manifest, MediaType, compact_json};

use super::fields::ManifestFields;
use super::image::{Draft, FinishedDraft};
use crate::layer::{LayerKey, MadeLayer};
use crate::{Error, ErrorKind, Result};

/// An index with children that are made while they are sent.
#[derive(Clone, Debug)]
pub struct IndexDraft {
    /// The media type of the future index.
    pub media_type: MediaType,
    /// Its children, in order.
    pub children: Vec<IndexChild>,
    /// What else the index says.
    pub fields: ManifestFields,
}

/// A child of an [`IndexDraft`].
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "an index has few children")]
pub enum IndexChild {
    /// The source has it.
    Stored(Descriptor),
    /// It is made. The index takes platform and annotations from this descriptor, and media type,
    /// digest and size from what was made.
    Image(Descriptor, Draft),
    /// An index with children that are made, described as an image is.
    Index(Descriptor, IndexDraft),
}

/// A finished draft of an index, made by [`IndexDraft::finish`].
#[derive(Clone, Debug)]
pub struct FinishedIndex {
    /// The images below it. They must be in the store before the indexes.
    pub images: Vec<FinishedDraft>,
    /// The indexes below it, children before parents.
    pub below: Vec<Manifest>,
    /// The index itself.
    pub manifest: Manifest,
}

impl IndexDraft {
    /// The images that are to be made, at any depth, in order.
    pub fn drafts(&self) -> Vec<&Draft> {
        let mut drafts = Vec::new();
        for child in &self.children {
            match child {
                IndexChild::Stored(_) => {}
                IndexChild::Image(_, draft) => drafts.push(draft),
                IndexChild::Index(_, index) => drafts.extend(index.drafts()),
            }
        }
        drafts
    }

    /// The children that the source has, at any depth, in order.
    pub fn stored(&self) -> Vec<&Descriptor> {
        let mut stored = Vec::new();
        for child in &self.children {
            match child {
                IndexChild::Stored(descriptor) => stored.push(descriptor),
                IndexChild::Image(..) => {}
                IndexChild::Index(_, index) => stored.extend(index.stored()),
            }
        }
        stored
    }

    /// The number of indexes that are made below it.
    pub fn indexes(&self) -> usize {
        let below = self.children.iter().map(|child| match child {
            IndexChild::Stored(_) | IndexChild::Image(..) => 0,
            IndexChild::Index(_, index) => 1 + index.indexes(),
        });
        below.sum()
    }

    /// The index with everything that is made below it. `made` is as for [`Draft::finish`].
    ///
    /// # Errors
    /// As [`Draft::finish`]; [`ErrorKind::Invalid`] if an index becomes too large.
    pub fn finish(&self, made: &HashMap<LayerKey, MadeLayer>) -> Result<FinishedIndex> {
        let (mut images, mut below) = (Vec::new(), Vec::new());
        let mut manifests = Vec::with_capacity(self.children.len());
        for child in &self.children {
            manifests.push(match child {
                IndexChild::Stored(descriptor) => descriptor.clone(),
                IndexChild::Image(as_before, draft) => {
                    let finished = draft.finish(made)?;
                    let described = described(as_before, finished.manifest.descriptor());
                    images.push(finished);
                    described
                }
                IndexChild::Index(as_before, index) => {
                    let finished = index.finish(made)?;
                    let described = described(as_before, finished.manifest.descriptor());
                    images.extend(finished.images);
                    below.extend(finished.below);
                    below.push(finished.manifest);
                    described
                }
            });
        }
        Ok(FinishedIndex {
            images,
            below,
            manifest: self.written(manifests)?,
        })
    }

    fn written(&self, manifests: Vec<Descriptor>) -> Result<Manifest> {
        let fields = self.fields.clone();
        let document = Index {
            schema_version: 2,
            media_type: Some(self.media_type.clone()),
            artifact_type: fields.artifact_type,
            manifests,
            subject: fields.subject,
            annotations: fields.annotations,
            extra: fields.extra,
        };
        let bytes = compact_json(&document)
            .map_err(|error| Error::new(ErrorKind::Invalid, "index").source(error))?;
        Ok(Manifest::parse(Some(&self.media_type), Bytes::from(bytes))?)
    }
}

/// The descriptor of changed content, as an index described it before. Content inside of the
/// descriptor would be that of before, so it is left out.
fn described(before: &Descriptor, now: &Descriptor) -> Descriptor {
    Descriptor {
        media_type: now.media_type.clone(),
        digest: now.digest.clone(),
        size: now.size,
        data: None,
        ..before.clone()
    }
}
