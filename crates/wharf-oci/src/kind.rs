//! What a manifest is to people: an image, an index, an artifact, an attestation.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::{ANNOTATION_ATTESTED, Descriptor, ImageManifest, Manifest, Payload};

/// The media types of statements about other content, as in-toto defines them.
const STATEMENTS: [&str; 2] = [
    "application/vnd.in-toto+json",
    "application/vnd.dsse.envelope.v1+json",
];

/// The artifact type of an attestation that a builder puts beside an image.
const ATTESTATION_TYPE: &str = "application/vnd.docker.attestation.manifest.v1+json";

/// The annotation by which an index tells attestations from images.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";

/// What a manifest is. As text it is one word: `image`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ManifestKind {
    /// A list of manifests.
    Index,
    /// An image that a container runtime can run.
    Image,
    /// Other content in the form of an image, such as a chart, a signature or an SBOM.
    Artifact,
    /// Statements about an image, such as its provenance.
    Attestation,
    /// An image in Docker's old form.
    Schema1,
}

impl ManifestKind {
    /// The kind of a manifest.
    pub fn of(manifest: &Manifest) -> ManifestKind {
        match manifest.payload() {
            Payload::Index(_) => ManifestKind::Index,
            Payload::Image(image) => of_image(image),
            Payload::Artifact(_) => ManifestKind::Artifact,
            Payload::Schema1(_) => ManifestKind::Schema1,
        }
    }

    /// The kind of the manifest that a descriptor in an index points at, as far as the descriptor
    /// says; `None` for content that is no manifest.
    pub fn of_child(child: &Descriptor) -> Option<ManifestKind> {
        let unknown = |name: &str| name == "unknown";
        let nowhere = child.platform.as_ref();
        let nowhere = nowhere.is_some_and(|on| unknown(&on.os) && unknown(&on.architecture));
        let stated = child.annotations.get(REFERENCE_TYPE);
        let attests = stated.is_some_and(|stated| stated == "attestation-manifest");
        let media_type = &child.media_type;
        let typed = child.artifact_type.as_ref();
        let is_typed = typed.is_some_and(|typed| typed.as_str() == ATTESTATION_TYPE);
        match () {
            () if media_type.is_index() => Some(ManifestKind::Index),
            () if media_type.is_schema1() => Some(ManifestKind::Schema1),
            () if !media_type.is_manifest() => None,
            () if nowhere || attests || is_typed => Some(ManifestKind::Attestation),
            () if child.artifact_type.is_some() || !media_type.is_image_manifest() => {
                Some(ManifestKind::Artifact)
            }
            () => Some(ManifestKind::Image),
        }
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            ManifestKind::Index => "index",
            ManifestKind::Image => "image",
            ManifestKind::Artifact => "artifact",
            ManifestKind::Attestation => "attestation",
            ManifestKind::Schema1 => "schema 1",
        }
    }
}

/// The digest of the image that an attestation in an index is about, as its descriptor states it.
pub fn attested(child: &Descriptor) -> Option<&str> {
    child
        .annotations
        .get(ANNOTATION_ATTESTED)
        .map(String::as_str)
}

fn of_image(image: &ImageManifest) -> ManifestKind {
    let is_statement = |layer: &Descriptor| STATEMENTS.contains(&layer.media_type.as_str());
    let stated = image.artifact_type.as_ref();
    let (layers, config) = (&image.layers, &image.config.media_type);
    match () {
        () if stated.is_some_and(|stated| stated.as_str() == ATTESTATION_TYPE) => {
            ManifestKind::Attestation
        }
        () if !layers.is_empty() && layers.iter().all(is_statement) => ManifestKind::Attestation,
        () if stated.is_some() || !config.is_config() => ManifestKind::Artifact,
        // Signatures have the config of an image, and no layer of files.
        () if !layers.is_empty() && !layers.iter().any(|layer| layer.media_type.is_layer()) => {
            ManifestKind::Artifact
        }
        () => ManifestKind::Image,
    }
}

impl fmt::Display for ManifestKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ManifestKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{Digest, MediaType};

    fn content(media_type: &str) -> Value {
        json!({ "mediaType": media_type, "digest": Digest::of(b""), "size": 0 })
    }

    fn kind(document: &Value) -> ManifestKind {
        let manifest = Manifest::parse(None, document.to_string().into()).unwrap();
        ManifestKind::of(&manifest)
    }

    #[test]
    fn content_decides_what_a_manifest_is() {
        let config = MediaType::OCI_IMAGE_CONFIG.as_str();
        let gzip = MediaType::OCI_LAYER_GZIP.as_str();
        let odd = "application/vnd.dev.cosign.simplesigning.v1+json";
        for (config, layers, expected) in [
            (config, vec![gzip], ManifestKind::Image),
            (config, vec![], ManifestKind::Image),
            (config, vec![gzip, "text/plain"], ManifestKind::Image),
            (config, vec![odd], ManifestKind::Artifact),
            (
                config,
                vec!["application/vnd.in-toto+json"],
                ManifestKind::Attestation,
            ),
            (
                "application/vnd.cncf.helm.config.v1+json",
                vec![gzip],
                ManifestKind::Artifact,
            ),
            (
                "application/vnd.oci.empty.v1+json",
                vec![],
                ManifestKind::Artifact,
            ),
        ] {
            let listed: Vec<Value> = layers.iter().map(|layer| content(layer)).collect();
            let document =
                json!({ "schemaVersion": 2, "config": content(config), "layers": listed });
            assert_eq!(kind(&document), expected, "{config} {layers:?}");
        }
        let index = json!({ "schemaVersion": 2, "manifests": [] });
        assert_eq!(kind(&index), ManifestKind::Index);
    }

    #[test]
    fn a_descriptor_says_what_it_knows() {
        let child = |change: Value| {
            let mut child = content(MediaType::OCI_IMAGE_MANIFEST.as_str());
            for (key, value) in change.as_object().unwrap() {
                child[key] = value.clone();
            }
            ManifestKind::of_child(&serde_json::from_value(child).unwrap())
        };
        let unknown = json!({ "os": "unknown", "architecture": "unknown" });
        let attests = json!({ REFERENCE_TYPE: "attestation-manifest" });
        for (change, expected) in [
            (json!({}), Some(ManifestKind::Image)),
            (
                json!({ "platform": unknown }),
                Some(ManifestKind::Attestation),
            ),
            (
                json!({ "annotations": attests }),
                Some(ManifestKind::Attestation),
            ),
            (
                json!({ "artifactType": "a/b" }),
                Some(ManifestKind::Artifact),
            ),
            (
                json!({ "artifactType": ATTESTATION_TYPE }),
                Some(ManifestKind::Attestation),
            ),
            (
                json!({ "mediaType": MediaType::OCI_IMAGE_INDEX }),
                Some(ManifestKind::Index),
            ),
            (json!({ "mediaType": "text/plain" }), None),
        ] {
            assert_eq!(child(change.clone()), expected, "{change}");
        }
    }
}
