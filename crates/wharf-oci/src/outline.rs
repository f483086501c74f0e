//! Tells which kind of manifest a document is, before anything of it is believed.

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::lenient::optional_media_type;
use crate::{MAX_MANIFEST_SIZE, ManifestError, MediaType, Payload, Schema1};

/// Media type and parsed form; for a signed schema 1 manifest also the bytes that are signed.
pub(crate) type Parts = (MediaType, Payload, Option<Vec<u8>>);

/// Parses a manifest, once its kind is known and beyond doubt.
pub(crate) fn read(carrier: Option<&MediaType>, bytes: &Bytes) -> Result<Parts, ManifestError> {
    check_size(bytes)?;
    let outline: Outline = serde_json::from_slice(bytes).map_err(ManifestError::json)?;
    let found = outline.shape()?;
    let media_type = outline.media_type(carrier, found.map(|(_, shape)| shape))?;
    let shape = agree(&media_type, found)?;
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

/// Refuses what is too large to be a manifest.
pub(crate) fn check_size(bytes: &Bytes) -> Result<(), ManifestError> {
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

/// The kind by media type, where that is known, else by the fields; they must not contradict.
fn agree(media_type: &MediaType, found: Option<Found>) -> Result<Shape, ManifestError> {
    match (shape_of(media_type), found) {
        (Some(named), Some((field, shape))) if named != shape => Err(ManifestError::Shape {
            media_type: media_type.clone(),
            field,
        }),
        (Some(shape), _) | (None, Some((_, shape))) => Ok(shape),
        (None, None) => Err(ManifestError::Unknown {
            media_type: Some(media_type.clone()),
        }),
    }
}

/// A field that only one kind has, and that kind.
type Found = (&'static str, Shape);

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
    fn shape(&self) -> Result<Option<Found>, ManifestError> {
        let fields = [
            (&self.manifests, "manifests", Shape::Index),
            (&self.config, "config", Shape::Image),
            (&self.layers, "layers", Shape::Image),
            (&self.fs_layers, "fsLayers", Shape::Schema1),
        ];
        let mut there = fields
            .into_iter()
            .filter(|(field, ..)| field.is_some())
            .map(|(_, name, shape)| (name, shape));
        let Some((first, shape)) = there.next() else {
            return Ok(None);
        };
        match there.find(|(_, other)| *other != shape) {
            Some((second, _)) => Err(ManifestError::Ambiguous { first, second }),
            None => Ok(Some((first, shape))),
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
