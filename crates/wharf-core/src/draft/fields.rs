//! What a manifest says beside its links.

use std::collections::BTreeMap;

use serde_json::Value;
use wharf_oci::{Descriptor, ImageManifest, Index, MediaType};

/// What a manifest says beside its links. An edit keeps what it was not asked to change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ManifestFields {
    /// The type of the artifact that it carries; `None` for an image.
    pub artifact_type: Option<MediaType>,
    /// The manifest that it says something about.
    pub subject: Option<Descriptor>,
    /// Free-form facts.
    pub annotations: BTreeMap<String, String>,
    /// Fields that this version does not know.
    pub extra: BTreeMap<String, Value>,
}

impl From<&ImageManifest> for ManifestFields {
    fn from(manifest: &ImageManifest) -> Self {
        ManifestFields {
            artifact_type: manifest.artifact_type.clone(),
            subject: manifest.subject.clone(),
            annotations: manifest.annotations.clone(),
            extra: manifest.extra.clone(),
        }
    }
}

impl From<&Index> for ManifestFields {
    fn from(index: &Index) -> Self {
        ManifestFields {
            artifact_type: index.artifact_type.clone(),
            subject: index.subject.clone(),
            annotations: index.annotations.clone(),
            extra: index.extra.clone(),
        }
    }
}
