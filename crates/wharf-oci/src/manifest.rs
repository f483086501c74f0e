//! Manifests: exact bytes and their parsed form. The bytes are what is stored and sent; they are
//! never made again from the parsed form.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::lenient::optional_media_type;
use crate::text::Printable;
use crate::{ArtifactManifest, Descriptor, Digest, ImageManifest, Index, MediaType, Schema1};

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
#[derive(Clone, Debug)]
pub struct Manifest {
    descriptor: Descriptor,
    bytes: Bytes,
    payload: Arc<Payload>,
}

/// What a manifest says, by kind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are images, and it lives behind a pointer"
)]
pub enum Payload {
    /// An image, or an artifact in the form of one.
    Image(ImageManifest),
    /// A manifest of manifests.
    Index(Index),
    /// An artifact in the form that OCI gave up.
    Artifact(ArtifactManifest),
    /// A Docker schema 1 image.
    Schema1(Schema1),
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

/// The most bytes that a manifest may have.
pub const MAX_MANIFEST_SIZE: u64 = 8 << 20;

impl Manifest {
    /// Reads a manifest. `media_type` is what the carrier says: the HTTP header or the descriptor.
    ///
    /// The carrier's media type counts first, then the document's, then the document's shape. A
    /// carrier's type that says nothing about manifests (`application/json`) counts as none.
    /// The digest is the sha256 of the bytes, of a signed schema 1 manifest that of its payload.
    ///
    /// # Errors
    /// When the bytes are more than [`MAX_MANIFEST_SIZE`], no JSON of the form that the media type
    /// asks for, or of two kinds at once, and when carrier and document disagree on the type.
    pub fn parse(media_type: Option<&MediaType>, bytes: Bytes) -> Result<Manifest, ManifestError> {
        let (media_type, payload, signed) = read(media_type, &bytes)?;
        let digest = Digest::of(signed.as_deref().unwrap_or(&bytes));
        Ok(Manifest::assemble(media_type, digest, bytes, payload))
    }

    /// Reads a manifest that must have this digest, of whatever algorithm, and keeps that digest.
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
        // Bytes that nothing vouches for are looked at only where schema 1 makes that necessary.
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

    /// What this manifest is, and is sent as.
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

    /// What the manifest carries: its own artifact type, else its config's media type.
    ///
    /// distribution-spec: "Listing Referrers".
    pub fn artifact_type(&self) -> Option<&MediaType> {
        match self.payload() {
            Payload::Image(image) => Some(
                image
                    .artifact_type
                    .as_ref()
                    .unwrap_or(&image.config.media_type),
            ),
            Payload::Index(index) => index.artifact_type.as_ref(),
            Payload::Artifact(artifact) => artifact.artifact_type.as_ref(),
            Payload::Schema1(_) => None,
        }
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
    /// Not the subject, which may come later or never, and nothing for schema 1, which does not
    /// know sizes (see [`Schema1::fs_layers`]).
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
}

/// Media type and parsed form; for a signed schema 1 manifest also the bytes that are signed.
type Parts = (MediaType, Payload, Option<Vec<u8>>);

fn read(carrier: Option<&MediaType>, bytes: &Bytes) -> Result<Parts, ManifestError> {
    check_size(bytes)?;
    let outline: Outline = serde_json::from_slice(bytes).map_err(ManifestError::json)?;
    let shape = outline.shape()?;
    let media_type = outline.media_type(carrier, shape)?;
    let shape = shape_of(&media_type)
        .or(shape)
        .ok_or(ManifestError::Unknown {
            media_type: Some(media_type.clone()),
        })?;
    outline.check_version(shape)?;
    let payload = match shape {
        Shape::Image => Payload::Image(serde_json::from_slice(bytes).map_err(ManifestError::json)?),
        Shape::Index => Payload::Index(serde_json::from_slice(bytes).map_err(ManifestError::json)?),
        Shape::Artifact => {
            Payload::Artifact(serde_json::from_slice(bytes).map_err(ManifestError::json)?)
        }
        Shape::Schema1 => {
            let (schema1, signed) = Schema1::parse(bytes)?;
            return Ok((media_type, Payload::Schema1(schema1), Some(signed)));
        }
    };
    Ok((media_type, payload, None))
}

fn check_size(bytes: &Bytes) -> Result<(), ManifestError> {
    match bytes.len() as u64 {
        size if size > MAX_MANIFEST_SIZE => Err(ManifestError::TooLarge { size }),
        _ => Ok(()),
    }
}

/// The kinds of manifest that can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Image,
    Index,
    Artifact,
    Schema1,
}

fn shape_of(media_type: &MediaType) -> Option<Shape> {
    match media_type {
        known if known.is_image_manifest() => Some(Shape::Image),
        known if known.is_index() => Some(Shape::Index),
        known if known.is_schema1() => Some(Shape::Schema1),
        known if known.is_manifest() => Some(Shape::Artifact),
        _ => None,
    }
}

/// The fields of a document that tell its kind.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outline {
    #[serde(default)]
    schema_version: Option<serde_json::Number>,
    #[serde(default, deserialize_with = "optional_media_type")]
    media_type: Option<MediaType>,
    #[serde(default)]
    manifests: Option<IgnoredAny>,
    #[serde(default)]
    config: Option<IgnoredAny>,
    #[serde(default)]
    layers: Option<IgnoredAny>,
    #[serde(default)]
    fs_layers: Option<IgnoredAny>,
    #[serde(default)]
    signatures: Option<IgnoredAny>,
}

impl Outline {
    /// The kind that the fields make; a document of two kinds is refused, whatever it says it is,
    /// because two readers could take it for different things.
    fn shape(&self) -> Result<Option<Shape>, ManifestError> {
        let names = [
            ("manifests", self.manifests.is_some(), Shape::Index),
            ("config", self.config.is_some(), Shape::Image),
            ("layers", self.layers.is_some(), Shape::Image),
            ("fsLayers", self.fs_layers.is_some(), Shape::Schema1),
        ];
        let mut there = names.into_iter().filter(|(_, there, _)| *there);
        let Some((first, _, shape)) = there.next() else {
            return Ok(None);
        };
        match there.find(|(_, _, other)| *other != shape) {
            Some((second, _, _)) => Err(ManifestError::Ambiguous { first, second }),
            // Layers alone are too little to call an unnamed document an image.
            None if shape == Shape::Image && self.config.is_none() => Ok(None),
            None => Ok(Some(shape)),
        }
    }

    fn media_type(
        &self,
        carrier: Option<&MediaType>,
        shape: Option<Shape>,
    ) -> Result<MediaType, ManifestError> {
        let carrier = carrier.filter(|media_type| media_type.may_be_manifest());
        match (carrier, &self.media_type) {
            (Some(carrier), Some(document)) if carrier != document => {
                Err(ManifestError::MediaTypes {
                    carrier: carrier.clone(),
                    document: document.clone(),
                })
            }
            (Some(media_type), _) => Ok(media_type.clone()),
            (None, Some(media_type)) if media_type.may_be_manifest() => Ok(media_type.clone()),
            (None, Some(other)) => Err(ManifestError::Unknown {
                media_type: Some(other.clone()),
            }),
            (None, None) => match shape {
                Some(Shape::Image) => Ok(MediaType::OCI_IMAGE_MANIFEST),
                Some(Shape::Index) => Ok(MediaType::OCI_IMAGE_INDEX),
                Some(Shape::Schema1) if self.signatures.is_some() => {
                    Ok(MediaType::DOCKER_MANIFEST_V1_SIGNED)
                }
                Some(Shape::Schema1) => Ok(MediaType::DOCKER_MANIFEST_V1),
                Some(Shape::Artifact) | None => Err(ManifestError::Unknown { media_type: None }),
            },
        }
    }

    fn check_version(&self, shape: Shape) -> Result<(), ManifestError> {
        let wanted = match shape {
            Shape::Image | Shape::Index => 2,
            Shape::Schema1 => 1,
            Shape::Artifact => return Ok(()),
        };
        match &self.schema_version {
            Some(version) if version.as_u64() == Some(wanted) => Ok(()),
            Some(version) => Err(ManifestError::SchemaVersion {
                found: version.to_string(),
            }),
            None => Err(ManifestError::SchemaVersion {
                found: "absent".to_owned(),
            }),
        }
    }
}

/// Why bytes are not a manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// There are too many bytes.
    #[error("manifest of {size} bytes is larger than {MAX_MANIFEST_SIZE}")]
    TooLarge {
        /// How many there are.
        size: u64,
    },
    /// The bytes are no JSON, or not of the form that their media type asks for.
    #[error("manifest is not valid: {reason}")]
    Json {
        /// What is wrong and where, in one line.
        reason: String,
    },
    /// Neither media type nor shape is one that is known.
    #[error("manifest of unknown kind{}", Of(media_type))]
    Unknown {
        /// The media type, when there is one.
        media_type: Option<MediaType>,
    },
    /// Carrier and document name different media types.
    #[error("manifest is {carrier} by its carrier and {document} by its own mediaType")]
    MediaTypes {
        /// What the HTTP header or the descriptor says.
        carrier: MediaType,
        /// What the document says.
        document: MediaType,
    },
    /// The document is of two kinds at once.
    #[error("manifest is of two kinds at once: it has {first:?} and {second:?}")]
    Ambiguous {
        /// A field of the one kind.
        first: &'static str,
        /// A field of the other.
        second: &'static str,
    },
    /// The schema version is not that of the media type.
    #[error("manifest has a schemaVersion that its kind cannot have: {found}")]
    SchemaVersion {
        /// The version, or that it is absent.
        found: String,
    },
    /// The signatures of a schema 1 manifest do not say what they sign.
    #[error("signatures of the schema 1 manifest are not valid: {reason}")]
    Signature {
        /// What is wrong.
        reason: String,
    },
    /// The bytes have another digest.
    #[error("manifest has digest {found}, expected {expected}")]
    Digest {
        /// The digest that was asked for.
        expected: Digest,
        /// The digest of the bytes.
        found: Digest,
    },
}

impl ManifestError {
    pub(crate) fn json(error: serde_json::Error) -> ManifestError {
        ManifestError::Json {
            reason: Printable(&error.to_string(), 300).to_string(),
        }
    }
}

struct Of<'a>(&'a Option<MediaType>);

impl fmt::Display for Of<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(media_type) => write!(f, ": {media_type}"),
            None => f.write_str(": no mediaType, and neither \"manifests\" nor \"config\""),
        }
    }
}
