//! Manifests: exact bytes and their parsed form. The bytes are what is stored and sent; they are
//! never made again from the parsed form.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::outline::{check_size, read};
use crate::{Descriptor, Digest, ManifestError, MediaType, Payload};

/// A manifest as received, with its descriptor and its parsed form. Cloning is cheap.
///
/// ```
/// use wharf_oci::{Manifest, MediaType};
/// let bytes = br#"{"schemaVersion":2,"manifests":[]}"#;
/// let manifest = Manifest::parse(None, bytes.as_slice().into())?;
/// assert_eq!(manifest.media_type(), &MediaType::OCI_IMAGE_INDEX);
/// assert_eq!(manifest.bytes().as_ref(), bytes);
/// # Ok::<(), wharf_oci::ManifestError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    descriptor: Descriptor,
    bytes: Bytes,
    payload: Arc<Payload>,
}

/// An edge from a manifest to content that must be in a store before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// What the content is to the manifest.
    pub role: Role,
    /// The content.
    pub descriptor: Descriptor,
}

/// What linked content is to its manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The config of an image.
    Config,
    /// A layer of an image.
    Layer,
    /// An entry of an index: a manifest or, by its media type, any other content.
    Child,
    /// A blob of an artifact manifest.
    Blob,
}

impl Manifest {
    /// Parses a manifest. `media_type` is what the carrier says: the HTTP header or the descriptor.
    ///
    /// The carrier's media type counts first, then the document's, then the document's shape. A
    /// carrier's type that says nothing about manifests (`application/json`) counts as none.
    /// The digest is the sha256 of the bytes, of a signed schema 1 manifest that of its payload.
    ///
    /// # Errors
    /// When the bytes are more than [`MAX_MANIFEST_SIZE`](crate::MAX_MANIFEST_SIZE), not JSON of the form that the media type
    /// requires, or of two kinds at once; when carrier and document disagree on the type.
    pub fn parse(media_type: Option<&MediaType>, bytes: Bytes) -> Result<Manifest, ManifestError> {
        let (media_type, payload, signed) = read(media_type, &bytes)?;
        let digest = Digest::of(signed.as_deref().unwrap_or(&bytes));
        Ok(Manifest::assemble(media_type, digest, bytes, payload))
    }

    /// Parses a manifest that must have this digest, of any algorithm, and keeps that digest.
    ///
    /// A signed schema 1 manifest may be named by the digest of its payload or of all its bytes.
    ///
    /// # Errors
    /// When the digest is another one, and as [`Manifest::parse`].
    pub fn parse_as(
        media_type: Option<&MediaType>,
        bytes: Bytes,
        expected: &Digest,
    ) -> Result<Manifest, ManifestError> {
        check_size(&bytes)?;
        let found = Digest::of_with(expected.algorithm(), &bytes);
        let known = found == *expected;
        // Unverified bytes are parsed only where schema 1 makes that necessary.
        let (media_type, payload, signed) = match read(media_type, &bytes) {
            Ok(parts) => parts,
            Err(error) if known => return Err(error),
            Err(_) => {
                return Err(ManifestError::Digest {
                    expected: expected.clone(),
                    found,
                });
            }
        };
        let names_payload = || {
            signed.is_some_and(|signed| Digest::of_with(expected.algorithm(), &signed) == *expected)
        };
        if !known && !names_payload() {
            return Err(ManifestError::Digest {
                expected: expected.clone(),
                found,
            });
        }
        Ok(Manifest::assemble(
            media_type,
            expected.clone(),
            bytes,
            payload,
        ))
    }

    fn assemble(media_type: MediaType, digest: Digest, bytes: Bytes, payload: Payload) -> Manifest {
        let descriptor = Descriptor::new(media_type, digest, bytes.len() as u64);
        Manifest {
            descriptor,
            bytes,
            payload: Arc::new(payload),
        }
    }

    /// Media type, digest and size of this manifest.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// The exact bytes as received.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The media type, also the one it is sent with.
    pub fn media_type(&self) -> &MediaType {
        &self.descriptor.media_type
    }

    /// The digest that names this manifest.
    pub fn digest(&self) -> &Digest {
        &self.descriptor.digest
    }

    /// How many bytes there are.
    pub fn size(&self) -> u64 {
        self.descriptor.size
    }

    /// What the manifest says.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// The manifest that this one says something about.
    pub fn subject(&self) -> Option<&Descriptor> {
        match self.payload() {
            Payload::Image(image) => image.subject.as_ref(),
            Payload::Index(index) => index.subject.as_ref(),
            Payload::Artifact(artifact) => artifact.subject.as_ref(),
            Payload::Schema1(_) => None,
        }
    }

    /// The manifest's annotations; schema 1 has none.
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        match self.payload() {
            Payload::Image(image) => &image.annotations,
            Payload::Index(index) => &index.annotations,
            Payload::Artifact(artifact) => &artifact.annotations,
            Payload::Schema1(_) => &NONE,
        }
    }

    /// The type of what the manifest carries: its own artifact type, else its config's media type.
    ///
    /// distribution-spec: "Listing Referrers".
    pub fn artifact_type(&self) -> Option<&MediaType> {
        let stated = match self.payload() {
            Payload::Image(image) => Some(
                image
                    .artifact_type
                    .as_ref()
                    .unwrap_or(&image.config.media_type),
            ),
            Payload::Index(index) => index.artifact_type.as_ref(),
            Payload::Artifact(artifact) => artifact.artifact_type.as_ref(),
            Payload::Schema1(_) => None,
        };
        stated.filter(|media_type| !media_type.as_str().is_empty())
    }

    /// The descriptor by which a list of referrers names this manifest: with its artifact type and
    /// its annotations.
    ///
    /// distribution-spec: "Listing Referrers".
    pub fn referrer_descriptor(&self) -> Descriptor {
        Descriptor {
            artifact_type: self.artifact_type().cloned(),
            annotations: self.annotations().clone(),
            ..self.descriptor.clone()
        }
    }

    /// All content that must be in a store before this manifest, in the document's order.
    ///
    /// The subject is not among them: it may be put later or never. Empty for schema 1, which
    /// states no sizes (see [`Schema1::fs_layers`](crate::Schema1::fs_layers)).
    pub fn links(&self) -> Vec<Link> {
        let link = |role| {
            move |descriptor: &Descriptor| Link {
                role,
                descriptor: descriptor.clone(),
            }
        };
        match self.payload() {
            Payload::Image(image) => {
                let config = std::iter::once(&image.config).map(link(Role::Config));
                config
                    .chain(image.layers.iter().map(link(Role::Layer)))
                    .collect()
            }
            Payload::Index(index) => index.manifests.iter().map(link(Role::Child)).collect(),
            Payload::Artifact(artifact) => artifact.blobs.iter().map(link(Role::Blob)).collect(),
            Payload::Schema1(_) => Vec::new(),
        }
    }

    /// The descriptors of [`Manifest::links`], without copies.
    pub fn linked(&self) -> impl Iterator<Item = &Descriptor> {
        let (config, rest) = match self.payload() {
            Payload::Image(image) => (Some(&image.config), image.layers.as_slice()),
            Payload::Index(index) => (None, index.manifests.as_slice()),
            Payload::Artifact(artifact) => (None, artifact.blobs.as_slice()),
            Payload::Schema1(_) => (None, [].as_slice()),
        };
        config.into_iter().chain(rest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::{Algorithm, MAX_MANIFEST_SIZE};

    fn descriptor(media_type: MediaType, content: &str) -> Descriptor {
        Descriptor::new(
            media_type,
            Digest::of(content.as_bytes()),
            content.len() as u64,
        )
    }

    fn image() -> Value {
        json!({
            "schemaVersion": 2,
            "config": descriptor(MediaType::OCI_IMAGE_CONFIG, "config"),
            "layers": [descriptor(MediaType::OCI_LAYER_GZIP, "one"), descriptor(MediaType::OCI_LAYER, "two")],
        })
    }

    fn with(mut document: Value, key: &str, value: Value) -> Value {
        document
            .as_object_mut()
            .unwrap()
            .insert(key.to_owned(), value);
        document
    }

    fn parse(carrier: Option<&MediaType>, document: &Value) -> Result<Manifest, ManifestError> {
        Manifest::parse(carrier, document.to_string().into())
    }

    #[test]
    fn bytes_are_kept_as_they_came() {
        let text = format!("\n  {}\t\n", image());
        let manifest = Manifest::parse(None, text.clone().into()).unwrap();
        assert_eq!(manifest.bytes(), text.as_bytes());
        assert_eq!(manifest.digest(), &Digest::of(text.as_bytes()));
        assert_eq!(manifest.size(), text.len() as u64);
        assert_eq!(
            manifest.descriptor().media_type,
            MediaType::OCI_IMAGE_MANIFEST
        );
    }

    #[test]
    fn links_are_everything_but_the_subject() {
        let subject = descriptor(MediaType::OCI_IMAGE_MANIFEST, "subject");
        let manifest = parse(None, &with(image(), "subject", json!(subject))).unwrap();
        assert_eq!(manifest.subject(), Some(&subject));
        let links: Vec<_> = manifest
            .links()
            .into_iter()
            .map(|link| (link.role, link.descriptor.digest))
            .collect();
        assert_eq!(
            links,
            [
                (Role::Config, Digest::of(b"config")),
                (Role::Layer, Digest::of(b"one")),
                (Role::Layer, Digest::of(b"two")),
            ]
        );

        let child = descriptor(MediaType::OCTET_STREAM, "any content");
        let index = parse(None, &json!({"schemaVersion": 2, "manifests": [child]})).unwrap();
        assert_eq!(
            index.links(),
            [Link {
                role: Role::Child,
                descriptor: child
            }]
        );

        let blob = descriptor(MediaType::OCTET_STREAM, "blob");
        let document = json!({"mediaType": MediaType::OCI_ARTIFACT_MANIFEST, "artifactType": "a/b", "blobs": [blob]});
        let artifact = parse(None, &document).unwrap();
        assert_eq!(
            artifact.links(),
            [Link {
                role: Role::Blob,
                descriptor: blob
            }]
        );
    }

    #[test]
    fn null_lists_are_empty() {
        let manifest = parse(None, &with(image(), "layers", Value::Null)).unwrap();
        assert_eq!(manifest.links().len(), 1);
        let index = Manifest::parse(
            Some(&MediaType::OCI_IMAGE_INDEX),
            r#"{"schemaVersion":2,"manifests":null,"annotations":null}"#.into(),
        );
        assert!(index.unwrap().links().is_empty());
    }

    #[test]
    fn a_referrer_is_listed_with_type_and_annotations() {
        let document = with(image(), "annotations", json!({"k": "v"}));
        let plain = parse(None, &document).unwrap();
        assert_eq!(plain.artifact_type(), Some(&MediaType::OCI_IMAGE_CONFIG));
        let typed = parse(None, &with(document, "artifactType", json!("a/b"))).unwrap();
        let listed = typed.referrer_descriptor();
        assert_eq!(listed.artifact_type, Some("a/b".parse().unwrap()));
        assert_eq!(listed.annotations.get("k").unwrap(), "v");
        assert_eq!(
            (&listed.digest, listed.size),
            (typed.digest(), typed.size())
        );
    }

    #[test]
    fn fault_a12_a_manifest_of_odd_types_is_read_and_its_bytes_stay() {
        for odd in ["text", "text/plain; charset=utf-8", "", "x/y;version=0.2"] {
            let content = |text: &str| json!({"mediaType": odd, "digest": Digest::of(text.as_bytes()), "size": text.len()});
            let image = json!({
                "schemaVersion": 2, "mediaType": MediaType::OCI_IMAGE_MANIFEST, "artifactType": odd,
                "config": content("config"), "layers": [content("layer")],
            });
            let index = json!({"schemaVersion": 2, "manifests": [content("child")]});
            for document in [image, index] {
                let manifest = parse(None, &document).unwrap();
                assert_eq!(manifest.bytes(), document.to_string().as_bytes());
                let links = manifest.links();
                let mut types = links.iter().map(|link| link.descriptor.media_type.as_str());
                assert!(types.all(|media_type| media_type == odd));
            }
        }
    }

    #[test]
    fn an_expected_digest_is_verified_and_kept() {
        let bytes = Bytes::from(image().to_string());
        let expected = Digest::of_with(Algorithm::Sha512, &bytes);
        let manifest = Manifest::parse_as(None, bytes.clone(), &expected).unwrap();
        assert_eq!(manifest.digest(), &expected);

        let other = Digest::of(b"other");
        let error = Manifest::parse_as(None, bytes.clone(), &other).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "manifest has digest {}, expected {other}",
                Digest::of(&bytes)
            )
        );
        // Bytes with another digest are reported as such, even when they are not a manifest.
        let error = Manifest::parse_as(None, Bytes::from_static(b"<html>"), &other).unwrap_err();
        assert!(matches!(error, ManifestError::Digest { .. }));
    }

    #[test]
    fn the_size_is_limited() {
        let limit = usize::try_from(MAX_MANIFEST_SIZE).unwrap();
        let mut text = image().to_string();
        text.push_str(&" ".repeat(limit - text.len()));
        assert!(Manifest::parse(None, text.clone().into()).is_ok());
        text.push(' ');
        let error = Manifest::parse(None, text.into()).unwrap_err();
        assert_eq!(
            error,
            ManifestError::TooLarge {
                size: MAX_MANIFEST_SIZE + 1
            }
        );
    }

    #[test]
    fn thousands_of_layers_are_no_problem() {
        let layers = vec![descriptor(MediaType::OCI_LAYER, "layer"); 5000];
        let manifest = parse(None, &with(image(), "layers", json!(layers))).unwrap();
        assert_eq!(manifest.links().len(), 5001);
        let linked = manifest.linked().cloned();
        assert!(linked.eq(manifest.links().into_iter().map(|link| link.descriptor)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(bytes: Vec<u8>) {
            let _ = Manifest::parse(None, bytes.into());
        }

        #[test]
        fn any_change_of_a_byte_is_parsed_or_refused_in_one_line(at: prop::sample::Index, byte: u8) {
            let mut bytes = image().to_string().into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            match Manifest::parse(Some(&MediaType::OCI_IMAGE_MANIFEST), bytes.clone().into()) {
                Ok(manifest) => prop_assert_eq!(manifest.bytes(), &bytes),
                Err(error) => prop_assert!(!error.to_string().contains(char::is_control)),
            }
        }

        #[test]
        fn unknown_fields_survive_in_image_and_index(key in "x[a-zA-Z]{1,8}", text: String, number: i64) {
            let value = json!({"text": text, "list": [number, null, true]});
            let document = with(image(), &key, value.clone());
            let Payload::Image(parsed) = parse(None, &document).unwrap().payload().clone() else { panic!() };
            prop_assert_eq!(serde_json::to_value(parsed).unwrap(), document);

            let document = with(json!({"schemaVersion": 2, "manifests": []}), &key, value.clone());
            let Payload::Index(parsed) = parse(None, &document).unwrap().payload().clone() else { panic!() };
            prop_assert_eq!(serde_json::to_value(parsed).unwrap(), document);

            let document = with(json!({"mediaType": MediaType::OCI_ARTIFACT_MANIFEST}), &key, value);
            let Payload::Artifact(parsed) = parse(None, &document).unwrap().payload().clone() else { panic!() };
            prop_assert_eq!(serde_json::to_value(parsed).unwrap(), document);
        }
    }
}
