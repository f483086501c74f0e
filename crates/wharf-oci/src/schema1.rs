//! Docker schema 1 manifests, which are only passed through.
//!
//! A signed one wraps its payload: the digest that names it is that of the payload, and only what
//! the payload says counts, because the bytes around it are covered by nothing.

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
    /// The repository that the manifest was made for; empty when it does not say.
    pub name: String,
    /// The tag that the manifest was made for; empty when it does not say.
    pub tag: String,
    /// The processor architecture; empty when it does not say.
    pub architecture: String,
    /// The layers, each once, the uppermost first; their sizes and types are not known.
    pub fs_layers: Vec<Digest>,
    /// Whether the document carries signatures (which are not verified).
    pub signed: bool,
}

impl Schema1 {
    /// Reads a document, and says which bytes its digest is made of.
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
    // Signers add nothing but a time of their own, so one payload is what all of them signed.
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
