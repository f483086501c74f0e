//! Docker schema 1 manifests, which are only copied as they are.
//!
//! A signed manifest wraps its payload. Its digest is that of the payload, so only the payload is
//! parsed: the digest does not cover the bytes around it.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::lenient::null_as_default;
use crate::text::Printable;
use crate::{Digest, ManifestError};

/// A Docker schema 1 manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema1 {
    /// The repository that the manifest was made for; empty when it states none.
    pub name: String,
    /// The tag that the manifest was made for; empty when it states none.
    pub tag: String,
    /// The processor architecture; empty when it states none.
    pub architecture: String,
    /// The layers, each once, the uppermost first; their sizes and types are not known.
    pub fs_layers: Vec<Digest>,
    /// Whether the document carries signatures (which are not verified).
    pub signed: bool,
}

impl Schema1 {
    /// Parses a document, and returns it with the bytes that its digest covers.
    pub(crate) fn parse(bytes: &[u8]) -> Result<(Schema1, Vec<u8>), ManifestError> {
        let envelope: Envelope = serde_json::from_slice(bytes).map_err(ManifestError::json)?;
        let signed = !envelope.signatures.is_empty();
        let payload = payload(bytes, &envelope.signatures)?;
        let document: Document = serde_json::from_slice(&payload).map_err(ManifestError::json)?;
        if document.schema_version != 1 {
            return Err(ManifestError::SchemaVersion {
                found: document.schema_version.to_string(),
            });
        }
        let mut fs_layers: Vec<Digest> = Vec::with_capacity(document.fs_layers.len());
        let mut seen = HashSet::new();
        for layer in document.fs_layers {
            if seen.insert(layer.blob_sum.clone()) {
                fs_layers.push(layer.blob_sum);
            }
        }
        let Document {
            name,
            tag,
            architecture,
            ..
        } = document;
        Ok((
            Schema1 {
                name,
                tag,
                architecture,
                fs_layers,
                signed,
            },
            payload,
        ))
    }
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(default, deserialize_with = "null_as_default")]
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    protected: String,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Protected {
    format_length: usize,
    format_tail: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u64,
    #[serde(default)]
    name: String,
    #[serde(default)]
    tag: String,
    #[serde(default)]
    architecture: String,
    #[serde(deserialize_with = "null_as_default")]
    fs_layers: Vec<FsLayer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FsLayer {
    blob_sum: Digest,
}

/// The payload of the signatures: the first `formatLength` bytes and then `formatTail`.
fn payload(bytes: &[u8], signatures: &[Signature]) -> Result<Vec<u8>, ManifestError> {
    let Some(first) = signatures.first() else {
        return Ok(bytes.to_vec());
    };
    // Signatures differ only in their time, so all of them sign the same payload.
    let protected = decode(first)?;
    for other in signatures.iter().skip(1) {
        if decode(other)? != protected {
            return Err(signature("they sign different payloads"));
        }
    }
    let head = bytes
        .get(..protected.format_length)
        .ok_or_else(|| signature("formatLength is past the end"))?;
    let tail = URL_SAFE_NO_PAD
        .decode(&protected.format_tail)
        .map_err(|error| signature(&format!("formatTail is not base64url: {error}")))?;
    Ok([head, &tail].concat())
}

fn decode(one: &Signature) -> Result<Protected, ManifestError> {
    let json = URL_SAFE_NO_PAD
        .decode(&one.protected)
        .map_err(|error| signature(&format!("protected is not base64url: {error}")))?;
    serde_json::from_slice(&json)
        .map_err(|error| signature(&format!("protected is not valid: {error}")))
}

fn signature(reason: &str) -> ManifestError {
    ManifestError::Signature {
        reason: Printable(reason, 300).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;
    use crate::{Manifest, MediaType, Payload};

    const HEAD: &str = "{\n   \"schemaVersion\": 1,\n   \"name\": \"library/hello\",\n   \"tag\": \"latest\",\n   \"architecture\": \"amd64\"";

    fn payload_text() -> String {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        format!(
            "{HEAD},\n   \"fsLayers\": [{{\"blobSum\": \"{b}\"}}, {{\"blobSum\": \"{a}\"}}, {{\"blobSum\": \"{b}\"}}]\n}}"
        )
    }

    fn signature_of(length: usize, tail: &str) -> serde_json::Value {
        let protected = json!({"formatLength": length, "formatTail": URL_SAFE_NO_PAD.encode(tail), "time": "now"});
        json!({"protected": URL_SAFE_NO_PAD.encode(protected.to_string()), "signature": "x"})
    }

    /// Wraps as libtrust does: the last two bytes of the payload follow the signatures.
    fn sign(payload: &str) -> String {
        let (head, tail) = payload.split_at(payload.len() - 2);
        let signature = signature_of(head.len(), tail);
        format!("{head},\n   \"signatures\": [{signature}]{tail}")
    }

    fn parse(text: String) -> Result<Manifest, ManifestError> {
        Manifest::parse(None, Bytes::from(text))
    }

    #[test]
    fn a_signed_manifest_has_the_digest_of_its_payload_and_the_size_of_all() {
        let text = sign(&payload_text());
        let manifest = parse(text.clone()).unwrap();
        assert_eq!(manifest.media_type(), &MediaType::DOCKER_MANIFEST_V1_SIGNED);
        assert_eq!(manifest.digest(), &Digest::of(payload_text().as_bytes()));
        assert_eq!(manifest.size(), text.len() as u64);
        assert_eq!(manifest.bytes(), text.as_bytes());
        let Payload::Schema1(schema1) = manifest.payload() else {
            panic!("{manifest:?}")
        };
        assert_eq!(
            (schema1.name.as_str(), schema1.tag.as_str(), schema1.signed),
            ("library/hello", "latest", true)
        );
        assert_eq!(schema1.fs_layers, [Digest::of(b"b"), Digest::of(b"a")]);
        assert!(manifest.links().is_empty());
    }

    #[test]
    fn an_unsigned_manifest_has_the_digest_of_its_bytes() {
        let manifest = parse(payload_text()).unwrap();
        assert_eq!(manifest.media_type(), &MediaType::DOCKER_MANIFEST_V1);
        assert_eq!(manifest.digest(), &Digest::of(payload_text().as_bytes()));
    }

    #[test]
    fn a_signed_manifest_may_be_asked_for_by_either_digest_only() {
        let text = sign(&payload_text());
        let by = |digest: Digest| Manifest::parse_as(None, Bytes::from(text.clone()), &digest);
        for digest in [
            Digest::of(payload_text().as_bytes()),
            Digest::of(text.as_bytes()),
        ] {
            assert_eq!(by(digest.clone()).unwrap().digest(), &digest);
        }
        assert!(matches!(
            by(Digest::of(b"")),
            Err(ManifestError::Digest { .. })
        ));
    }

    #[test]
    fn only_what_the_payload_says_counts() {
        // The signed bytes name one layer, the bytes around them add another.
        let good = format!("{HEAD},\"fsLayers\":[]}}");
        let evil = Digest::of(b"evil");
        let text = format!(
            "{HEAD},\"fsLayers\":[{{\"blobSum\":\"{evil}\"}}],\"signatures\":[{}]}}",
            signature_of(HEAD.len(), ",\"fsLayers\":[]}")
        );
        let manifest = parse(text).unwrap();
        assert_eq!(manifest.digest(), &Digest::of(good.as_bytes()));
        let Payload::Schema1(schema1) = manifest.payload() else {
            panic!("{manifest:?}")
        };
        assert!(schema1.fs_layers.is_empty());
    }

    #[test]
    fn hostile_signatures_are_refused() {
        let with = |signatures: serde_json::Value| {
            let text = format!("{HEAD},\"fsLayers\":[],\"signatures\":{signatures}}}");
            parse(text).unwrap_err().to_string()
        };
        let protected = |text: &str| json!([{"protected": URL_SAFE_NO_PAD.encode(text)}]);
        assert!(
            with(json!([signature_of(usize::MAX, "}")])).contains("formatLength is past the end")
        );
        assert!(with(json!([{"protected": "*"}])).contains("protected is not base64url"));
        assert!(with(protected("{}")).contains("protected is not valid"));
        assert!(
            with(protected(r#"{"formatLength":-1,"formatTail":""}"#))
                .contains("protected is not valid")
        );
        assert!(
            with(protected(r#"{"formatLength":1,"formatTail":"*"}"#))
                .contains("formatTail is not base64url")
        );
        assert!(with(json!([signature_of(1, "")])).contains("manifest is not valid"));
        assert!(with(json!([{}])).contains("missing field `protected`"));
        let two = json!([
            signature_of(HEAD.len(), ",\"fsLayers\":[]}"),
            signature_of(HEAD.len(), "}")
        ]);
        assert!(with(two).contains("they sign different payloads"));
    }

    #[test]
    fn the_payload_must_be_schema_1_too() {
        let tail = "{\"schemaVersion\":2,\"fsLayers\":[]}";
        let text = format!(
            "{HEAD},\"fsLayers\":[],\"signatures\":[{}]}}",
            signature_of(0, tail)
        );
        assert_eq!(
            parse(text),
            Err(ManifestError::SchemaVersion {
                found: "2".to_owned()
            })
        );
    }
}
