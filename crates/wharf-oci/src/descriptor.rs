//! Descriptors: the media type, digest and size of content.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::lenient::{
    media_type as media_type_or_empty, no_media_type, null_as_default, optional_media_type,
};
use crate::{Digest, MediaType, Platform};

/// Points at content by digest. OCI image-spec, "Content Descriptors".
///
/// Fields that are not known here are kept in [`extra`](Self::extra). They are written in the order
/// in which other tools write them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the content is, as the document states it; empty where it states nothing.
    #[serde(default = "no_media_type", deserialize_with = "media_type_or_empty")]
    pub media_type: MediaType,
    /// How many bytes the content has.
    pub size: u64,
    /// The digest of the content's bytes.
    pub digest: Digest,
    /// The content itself in base64, as the descriptor states it; not verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Where else the content may be found.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub urls: Vec<String>,
    /// Free-form facts about the content.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
    /// What an image in an index runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// What kind of artifact the manifest carries.
    #[serde(
        default,
        deserialize_with = "optional_media_type",
        skip_serializing_if = "Option::is_none"
    )]
    pub artifact_type: Option<MediaType>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

impl Descriptor {
    /// A descriptor with the three required fields and nothing else; `size` in bytes.
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Descriptor {
        Descriptor {
            media_type,
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            platform: None,
            artifact_type: None,
            data: None,
            extra: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(value: Value) -> Result<Descriptor, serde_json::Error> {
        serde_json::from_value(value)
    }

    #[test]
    fn empty_fields_are_not_written() {
        let descriptor = Descriptor::new(MediaType::OCI_EMPTY, Digest::of(b"{}"), 2);
        let written = serde_json::to_value(&descriptor).unwrap();
        assert_eq!(
            written,
            json!({"mediaType": MediaType::OCI_EMPTY, "digest": Digest::of(b"{}"), "size": 2})
        );
        assert_eq!(parse(written).unwrap(), descriptor);
    }

    #[test]
    fn known_and_unknown_fields_survive() {
        let value = json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": Digest::of(b""), "size": u64::MAX,
            "urls": ["https://example.com/"], "annotations": {"a": "b"}, "artifactType": "a/b", "data": "e30=",
            "platform": {"architecture": "arm", "os": "linux", "os.version": "1", "os.features": ["f"],
                "variant": "v7", "features": ["sse4"], "future": null},
            "future": {"deep": [1, -2, "three", 1.5]},
        });
        let descriptor = parse(value.clone()).unwrap();
        assert_eq!(descriptor.size, u64::MAX);
        assert_eq!(serde_json::to_value(descriptor).unwrap(), value);
    }

    #[test]
    fn null_and_empty_text_stand_for_nothing() {
        let value = json!({"mediaType": "a/b", "digest": Digest::of(b""), "size": 0,
            "urls": null, "annotations": null, "platform": null, "artifactType": "", "data": null});
        assert_eq!(
            parse(value).unwrap(),
            Descriptor::new("a/b".parse().unwrap(), Digest::of(b""), 0)
        );
    }

    #[test]
    fn fault_a12_any_media_type_is_kept_and_none_is_empty() {
        let with = |media_type: Value| {
            let mut value = json!({"digest": Digest::of(b""), "size": 0});
            let fields = value.as_object_mut().unwrap();
            fields.insert("mediaType".to_owned(), media_type.clone());
            fields.insert("artifactType".to_owned(), media_type);
            parse(value).unwrap()
        };
        for text in ["text", "text/plain; charset=utf-8", "x/y;version=0.2"] {
            let descriptor = with(json!(text));
            assert_eq!(descriptor.media_type.as_str(), text);
            assert_eq!(descriptor.artifact_type.unwrap().as_str(), text);
        }
        let without = json!({"digest": Digest::of(b""), "size": 0});
        for descriptor in [with(json!("")), with(Value::Null), parse(without).unwrap()] {
            assert_eq!(descriptor.media_type.as_str(), "");
            assert_eq!(descriptor.artifact_type, None);
        }
    }

    #[test]
    fn required_fields_and_sizes_are_checked() {
        let good = json!({"mediaType": "a/b", "digest": Digest::of(b""), "size": 0});
        assert!(parse(good.clone()).is_ok());
        for field in ["digest", "size"] {
            let mut less = good.clone();
            less.as_object_mut().unwrap().remove(field);
            assert!(
                parse(less).unwrap_err().to_string().contains(field),
                "{field}"
            );
        }
        for size in [json!(-1), json!(1.0), json!("1"), json!(1e30), Value::Null] {
            let mut wrong = good.clone();
            wrong
                .as_object_mut()
                .unwrap()
                .insert("size".to_owned(), size.clone());
            assert!(parse(wrong).is_err(), "{size}");
        }
    }
}
