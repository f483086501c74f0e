//! Finds the media type of manifest bytes that have no carrier (wire.md O5).

use bytes::Bytes;

use crate::{Digest, Manifest, ManifestError, MediaType};

impl Manifest {
    /// Parses bytes that will be put as they are. Their type is `media_type` if given, else their
    /// own `mediaType`, else Docker schema 2.
    ///
    /// If they state no type and their fields rule out Docker schema 2, such as those of an index,
    /// the fields decide. The digest must equal `expected`, if given.
    ///
    /// ```
    /// use wharf_oci::{Manifest, MediaType};
    /// let index = br#"{"schemaVersion":2,"manifests":[]}"#;
    /// let manifest = Manifest::parse_raw(None, index.as_slice().into(), None)?;
    /// assert_eq!(manifest.media_type(), &MediaType::OCI_IMAGE_INDEX);
    /// # Ok::<(), wharf_oci::ManifestError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Manifest::parse_as`]; also when `media_type` is not the type of a manifest.
    pub fn parse_raw(
        media_type: Option<&MediaType>,
        bytes: Bytes,
        expected: Option<&Digest>,
    ) -> Result<Manifest, ManifestError> {
        let manifest = Manifest::of_kind(media_type, bytes)?;
        match expected {
            None => Ok(manifest),
            Some(expected) => {
                let (media_type, bytes) = (manifest.media_type(), manifest.bytes().clone());
                Manifest::parse_as(Some(media_type), bytes, expected)
            }
        }
    }

    fn of_kind(media_type: Option<&MediaType>, bytes: Bytes) -> Result<Manifest, ManifestError> {
        match media_type {
            Some(said) if said.of_manifest().is_some() => Manifest::parse(Some(said), bytes),
            Some(other) => Err(ManifestError::Unknown {
                media_type: Some(other.clone()),
            }),
            // A type that the document states wins over the default.
            None => Manifest::parse(Some(&MediaType::DOCKER_MANIFEST), bytes.clone())
                .or_else(|_| Manifest::parse(None, bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::Descriptor;

    fn image() -> Value {
        let config = Descriptor::new(MediaType::OCI_IMAGE_CONFIG, Digest::of(b"{}"), 2);
        json!({"schemaVersion": 2, "config": config, "layers": []})
    }

    fn read(said: Option<&str>, document: &Value) -> Result<MediaType, String> {
        let said: Option<MediaType> = said.map(|text| text.parse().unwrap());
        let manifest = Manifest::parse_raw(said.as_ref(), document.to_string().into(), None);
        let manifest = manifest.map_err(|error| error.to_string())?;
        Ok(manifest.media_type().clone())
    }

    #[test]
    fn o5_the_caller_then_the_document_then_docker_schema_2() {
        let oci = MediaType::OCI_IMAGE_MANIFEST;
        assert_eq!(read(Some(oci.as_str()), &image()), Ok(oci.clone()));
        assert_eq!(read(None, &image()), Ok(MediaType::DOCKER_MANIFEST));
        let mut named = image();
        named["mediaType"] = json!(oci);
        assert_eq!(read(None, &named), Ok(oci));
        let docker = MediaType::DOCKER_MANIFEST;
        let error = read(Some(docker.as_str()), &named).unwrap_err();
        assert!(error.contains("but its mediaType is"), "{error}");
    }

    #[test]
    fn o5_what_cannot_be_docker_schema_2_is_what_its_fields_say() {
        let index = json!({"schemaVersion": 2, "manifests": []});
        assert_eq!(read(None, &index), Ok(MediaType::OCI_IMAGE_INDEX));
    }

    #[test]
    fn o5_what_is_no_manifest_is_refused_for_what_it_is() {
        for (said, document, message) in [
            (
                Some("text/plain"),
                image(),
                "manifest of unknown kind: text/plain",
            ),
            (None, json!({}), "manifest of unknown kind: no mediaType"),
            (None, json!("text"), "manifest is not valid: invalid type: "),
            (
                None,
                json!({"mediaType": "text/plain"}),
                "manifest of unknown kind: text/plain",
            ),
        ] {
            let error = read(said, &document).unwrap_err();
            assert!(error.starts_with(message), "{error}");
        }
    }
}
