//! Why bytes are not a manifest.

use std::fmt;

use crate::text::json_reason;
use crate::{Digest, MediaType};

/// The most bytes that a manifest may have.
pub const MAX_MANIFEST_SIZE: u64 = 8 << 20;

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
    /// There are no bytes.
    #[error("manifest is empty")]
    Empty,
    /// The bytes are not JSON, or not of the form that their media type requires.
    #[error("manifest is not valid: {reason}")]
    Json {
        /// What is wrong and where, in one line.
        reason: String,
    },
    /// Neither media type nor shape is known.
    #[error("manifest of unknown kind{}", Of(media_type))]
    Unknown {
        /// The media type, when there is one.
        media_type: Option<MediaType>,
    },
    /// Carrier and document name different media types.
    #[error("manifest is given as {carrier}, but its mediaType is {document}")]
    MediaTypes {
        /// What the HTTP header or the descriptor says.
        carrier: MediaType,
        /// What the document says.
        document: MediaType,
    },
    /// The document is of two kinds at once.
    #[error("manifest mixes two kinds: it has both {first:?} and {second:?}")]
    Ambiguous {
        /// A field of the first kind.
        first: &'static str,
        /// A field of the second kind.
        second: &'static str,
    },
    /// The document has a field that belongs to another media type.
    #[error("manifest is {media_type}, which has no field {field:?}")]
    Shape {
        /// The media type, by the carrier or the document.
        media_type: MediaType,
        /// The field.
        field: &'static str,
    },
    /// The schema version does not fit the media type.
    #[error("manifest has schemaVersion {found}, which is not valid for its kind")]
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
            reason: json_reason(&error),
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

#[cfg(test)]
mod tests {
    use crate::Manifest;

    #[test]
    fn fault_c4_a_document_nested_too_deep_is_told_the_limit() {
        let (open, close) = ("[".repeat(1000), "]".repeat(1000));
        let deep = format!(r#"{{"schemaVersion":2,"manifests":[],"x":{open}{close}}}"#);
        let error = Manifest::parse(None, deep.into()).unwrap_err().to_string();
        assert!(
            error.contains("nested deeper than the limit of 128 levels"),
            "{error}"
        );
    }

    #[test]
    fn messages_are_one_bounded_line_whatever_the_document_says() {
        let document = format!(
            r#"{{"schemaVersion":2,"manifests":"\u001b[2J\n{}"}}"#,
            "x".repeat(100_000)
        );
        let message = Manifest::parse(None, document.into())
            .unwrap_err()
            .to_string();
        assert!(
            message.starts_with("manifest is not valid: invalid type: string"),
            "{message}"
        );
        assert!(
            !message.contains(char::is_control) && message.len() < 500,
            "{message}"
        );
    }
}
