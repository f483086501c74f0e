//! Finds out which kind of manifest a document is, before anything else in it is used.

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::lenient::optional_media_type;
use crate::{MAX_MANIFEST_SIZE, ManifestError, MediaType, Payload, Schema1};

/// Media type and parsed form; for a signed schema 1 manifest also the signed bytes.
pub(crate) type Parts = (MediaType, Payload, Option<Vec<u8>>);

/// Finds out the kind of a manifest, and parses it as that.
pub(crate) fn read(carrier: Option<&MediaType>, bytes: &Bytes) -> Result<Parts, ManifestError> {
    check_size(bytes)?;
    if bytes.is_empty() {
        return Err(ManifestError::Empty);
    }
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

/// The kind by media type if that is known, else by the fields. The two must not contradict.
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
    /// The kind that the fields show. Refuses a document of two kinds, whatever its media type,
    /// because two readers could parse it as different things.
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
        let carrier = carrier.and_then(MediaType::of_manifest);
        match (carrier, &self.media_type) {
            (Some(carrier), Some(document)) if !carrier.is_same_type(document) => {
                Err(ManifestError::MediaTypes {
                    carrier,
                    document: document.clone(),
                })
            }
            (Some(media_type), _) => Ok(media_type),
            (None, Some(media_type)) => {
                media_type
                    .of_manifest()
                    .ok_or_else(|| ManifestError::Unknown {
                        media_type: Some(media_type.clone()),
                    })
            }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Descriptor, Digest, Manifest};

    const IMAGE: &str = r#"{"schemaVersion":2,"config":CONFIG,"layers":[]}"#;
    const INDEX: &str = r#"{"schemaVersion":2,"manifests":[]}"#;

    fn image() -> String {
        let config = Descriptor::new(MediaType::DOCKER_CONFIG, Digest::of(b"{}"), 2);
        IMAGE.replace("CONFIG", &json!(config).to_string())
    }

    fn named(document: &str, media_type: &str) -> String {
        document.replacen('{', &format!("{{\"mediaType\":\"{media_type}\","), 1)
    }

    fn kind(carrier: Option<&str>, document: &str) -> Result<MediaType, ManifestError> {
        let carrier: Option<MediaType> = carrier.map(|text| text.parse().unwrap());
        let manifest = Manifest::parse(carrier.as_ref(), document.to_owned().into())?;
        Ok(manifest.media_type().clone())
    }

    #[test]
    fn carrier_then_document_then_shape_decide() {
        let docker = MediaType::DOCKER_MANIFEST;
        assert_eq!(kind(Some(docker.as_str()), &image()), Ok(docker.clone()));
        assert_eq!(kind(None, &named(&image(), docker.as_str())), Ok(docker));
        assert_eq!(kind(None, &image()), Ok(MediaType::OCI_IMAGE_MANIFEST));
        assert_eq!(kind(None, INDEX), Ok(MediaType::OCI_IMAGE_INDEX));
        assert_eq!(
            kind(None, &named(INDEX, "")),
            Ok(MediaType::OCI_IMAGE_INDEX)
        );
        let list = MediaType::DOCKER_MANIFEST_LIST;
        assert_eq!(kind(Some(list.as_str()), INDEX), Ok(list));
    }

    #[test]
    fn a_carrier_that_names_no_manifest_counts_as_none() {
        for carrier in [
            "application/octet-stream",
            "application/json",
            "text/plain",
            MediaType::OCI_LAYER.as_str(),
        ] {
            assert_eq!(
                kind(Some(carrier), &image()),
                Ok(MediaType::OCI_IMAGE_MANIFEST),
                "{carrier}"
            );
        }
    }

    // wire.md section 11, rule 6.
    #[test]
    fn carrier_and_document_must_agree() {
        let document = named(INDEX, MediaType::OCI_IMAGE_INDEX.as_str());
        let error = kind(Some(MediaType::DOCKER_MANIFEST_LIST.as_str()), &document).unwrap_err();
        assert_eq!(
            error.to_string(),
            "manifest is given as application/vnd.docker.distribution.manifest.list.v2+json, but \
             its mediaType is application/vnd.oci.image.index.v1+json"
        );
    }

    #[test]
    fn fault_a12_carrier_and_document_agree_whatever_their_case_and_parameters() {
        let index = MediaType::OCI_IMAGE_INDEX;
        let cased = index.as_str().to_uppercase();
        let with = format!("{index}; charset=utf-8");
        for (carrier, document) in [(&cased, &with), (&with, &cased)] {
            let carried = MediaType::verbatim(carrier.as_str());
            let bytes = named(INDEX, document).into();
            let manifest = Manifest::parse(Some(&carried), bytes).unwrap();
            assert_eq!(manifest.media_type(), &carried);
            assert!(manifest.media_type().is_index());
        }
    }

    // wire.md section 11, rule 6.
    #[test]
    fn one_document_is_not_of_two_kinds() {
        let both = image().replacen('{', r#"{"manifests":[],"#, 1);
        for carrier in [
            None,
            Some(MediaType::OCI_IMAGE_MANIFEST.as_str()),
            Some(MediaType::OCI_IMAGE_INDEX.as_str()),
        ] {
            assert!(
                matches!(kind(carrier, &both), Err(ManifestError::Ambiguous { .. })),
                "{carrier:?}"
            );
        }
        for other in [
            r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#,
            r#"{"schemaVersion":1,"fsLayers":[],"layers":[]}"#,
        ] {
            assert!(
                matches!(kind(None, other), Err(ManifestError::Ambiguous { .. })),
                "{other}"
            );
        }
        let twice = INDEX.replacen('{', r#"{"manifests":[],"#, 1);
        assert!(
            kind(None, &twice)
                .unwrap_err()
                .to_string()
                .contains("duplicate field `manifests`")
        );
    }

    #[test]
    fn media_type_and_fields_must_not_contradict() {
        for (carrier, document) in [
            (MediaType::OCI_IMAGE_INDEX, image()),
            (MediaType::OCI_IMAGE_MANIFEST, INDEX.to_owned()),
            (MediaType::OCI_ARTIFACT_MANIFEST, INDEX.to_owned()),
            (MediaType::DOCKER_MANIFEST_V1, INDEX.to_owned()),
        ] {
            let error = kind(Some(carrier.as_str()), &document).unwrap_err();
            assert!(
                matches!(error, ManifestError::Shape { .. }),
                "{carrier}: {error}"
            );
        }
    }

    #[test]
    fn a_kind_of_the_future_is_taken_in_a_form_that_is_known() {
        let future = "application/vnd.example.future.v1+json";
        assert_eq!(kind(Some(future), &image()), Ok(future.parse().unwrap()));
        assert_eq!(
            kind(None, &named(INDEX, future)),
            Ok(future.parse().unwrap())
        );
        let error = kind(Some(future), r#"{"schemaVersion":2}"#).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("manifest of unknown kind: {future}")
        );
        assert_eq!(
            kind(None, "{}"),
            Err(ManifestError::Unknown { media_type: None })
        );
        assert!(matches!(
            kind(None, &named(INDEX, "text/plain")),
            Err(ManifestError::Unknown { .. })
        ));
    }

    #[test]
    fn the_schema_version_is_that_of_the_kind() {
        for (version, found) in [("1", "1"), ("3", "3"), ("2.0", "2.0"), ("null", "absent")] {
            let document = INDEX.replace(":2,", &format!(":{version},"));
            assert_eq!(
                kind(None, &document),
                Err(ManifestError::SchemaVersion {
                    found: found.to_owned()
                })
            );
        }
        assert!(matches!(
            kind(None, r#"{"schemaVersion":2,"fsLayers":[]}"#),
            Err(ManifestError::SchemaVersion { .. })
        ));
        assert!(matches!(
            kind(None, &INDEX.replace('2', "\"2\"")),
            Err(ManifestError::Json { .. })
        ));
    }

    #[test]
    fn what_is_required_is_missed_by_name() {
        let message = |carrier: MediaType, document: &str| {
            kind(Some(carrier.as_str()), document)
                .unwrap_err()
                .to_string()
        };
        assert!(
            message(MediaType::OCI_IMAGE_INDEX, r#"{"schemaVersion":2}"#)
                .contains("missing field `manifests`")
        );
        assert!(
            message(MediaType::OCI_IMAGE_MANIFEST, r#"{"schemaVersion":2}"#)
                .contains("missing field `config`")
        );
        assert!(
            message(MediaType::DOCKER_MANIFEST_V1, r#"{"schemaVersion":1}"#)
                .contains("missing field `fsLayers`")
        );
        assert!(message(MediaType::OCI_IMAGE_INDEX, "not json").contains("line 1 column 2"));
    }

    #[test]
    fn deep_nesting_is_refused_without_harm() {
        let deep = format!(
            r#"{{"schemaVersion":2,"manifests":[],"x":{}"#,
            "[".repeat(1 << 20)
        );
        assert!(matches!(kind(None, &deep), Err(ManifestError::Json { .. })));
    }
}
