//! An artifact: blobs of a type, in the form of an image manifest.

use std::collections::BTreeMap;

use bytes::Bytes;
use wharf_oci::{Descriptor, Digest, ImageManifest, Manifest, MediaType};

use crate::blob::Blob;
use crate::{Error, ErrorKind, Result};

/// A new artifact (image-spec: "Guidelines for Artifact Usage"), such as a signature or an SBOM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewArtifact {
    /// The type of the artifact.
    pub artifact_type: MediaType,
    /// Its blobs; without any, the artifact is its type alone.
    pub blobs: Vec<Descriptor>,
    /// The manifest that it says something about.
    pub subject: Option<Descriptor>,
    /// Free-form facts.
    pub annotations: BTreeMap<String, String>,
}

impl NewArtifact {
    /// The blob that every artifact links to as its config (image-spec: "Guidance for an Empty
    /// Descriptor").
    pub fn empty() -> Blob {
        let bytes: &[u8] = b"{}";
        let (digest, size) = (Digest::of(bytes), bytes.len() as u64);
        let descriptor = Descriptor::new(MediaType::OCI_EMPTY, digest, size);
        Blob::from_bytes(descriptor, Bytes::from_static(bytes))
    }

    /// Its manifest. The blobs and [`NewArtifact::empty`] must be in a store before it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if the manifest is too large.
    pub fn into_manifest(self) -> Result<Manifest> {
        let empty = NewArtifact::empty().descriptor().clone();
        let layers = match self.blobs.is_empty() {
            true => vec![empty.clone()],
            false => self.blobs,
        };
        let document = ImageManifest {
            schema_version: 2,
            media_type: Some(MediaType::OCI_IMAGE_MANIFEST),
            artifact_type: Some(self.artifact_type),
            config: empty,
            layers,
            subject: self.subject,
            annotations: self.annotations,
            extra: BTreeMap::new(),
        };
        let bytes = serde_json::to_vec(&document)
            .map_err(|error| Error::new(ErrorKind::Invalid, "artifact").source(error))?;
        Ok(Manifest::parse(None, bytes.into())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_l2_an_artifact_without_blobs_has_the_empty_one() {
        let artifact = NewArtifact {
            artifact_type: "application/vnd.example.mark".parse().unwrap(),
            blobs: Vec::new(),
            subject: None,
            annotations: BTreeMap::new(),
        };
        let manifest = artifact.into_manifest().unwrap();
        let links = manifest.links();
        assert_eq!(links.len(), 2);
        let empty = NewArtifact::empty();
        assert!(
            links
                .iter()
                .all(|link| link.descriptor == *empty.descriptor())
        );
        let found = manifest.artifact_type().unwrap().as_str();
        assert_eq!(found, "application/vnd.example.mark");
    }
}
