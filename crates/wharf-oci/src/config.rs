//! Image configs: platform, history and diff ids of an image.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config_order::in_order;
use crate::lenient::null_as_default;
use crate::text::json_reason;
use crate::{Digest, Platform};

/// The config of an image. OCI image-spec, "Image Configuration"; Docker's has the same form. Its
/// fields are written in the order in which other tools write them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// The processor architecture in Go's spelling; empty when the config does not say.
    #[serde(default)]
    pub architecture: String,
    /// The author of the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The container that it was made of, in images of old builders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// When the image was made, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The version of Docker that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docker_version: Option<String>,
    /// The history of each layer, the lowest first.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub history: Vec<History>,
    /// The operating system in Go's spelling; empty when the config does not say.
    #[serde(default)]
    pub os: String,
    /// The layers by their uncompressed content.
    #[serde(default, deserialize_with = "null_as_default")]
    pub rootfs: RootFs,
    /// How to run the image.
    #[serde(
        default,
        serialize_with = "in_order",
        skip_serializing_if = "Option::is_none"
    )]
    pub config: Option<Value>,
    /// The version of the operating system.
    #[serde(
        rename = "os.version",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub os_version: Option<String>,
    /// The variant of the architecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The features that the operating system must offer.
    #[serde(
        rename = "os.features",
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// The layers of an image by their uncompressed content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// The digest of each layer's uncompressed tar, the lowest first.
    #[serde(default, deserialize_with = "null_as_default")]
    pub diff_ids: Vec<Digest>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// The history of one layer, or of a change without a layer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The author of the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The time of the step, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The command that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// A remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether this step made no layer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// The most bytes that an image config may have.
pub const MAX_CONFIG_SIZE: u64 = 8 << 20;

impl ImageConfig {
    /// Reads a config blob.
    ///
    /// # Errors
    /// When the bytes are more than [`MAX_CONFIG_SIZE`] or not JSON of this form.
    pub fn parse(bytes: &[u8]) -> Result<ImageConfig, ConfigError> {
        if bytes.len() as u64 > MAX_CONFIG_SIZE {
            return Err(ConfigError::TooLarge {
                size: bytes.len() as u64,
            });
        }
        serde_json::from_slice(bytes).map_err(|error| ConfigError::Json {
            reason: json_reason(&error),
        })
    }

    /// What the image runs on.
    pub fn platform(&self) -> Platform {
        Platform {
            architecture: self.architecture.clone(),
            os: self.os.clone(),
            os_version: self.os_version.clone(),
            os_features: self.os_features.clone(),
            variant: self.variant.clone(),
            ..Platform::default()
        }
    }
}

impl Default for RootFs {
    fn default() -> RootFs {
        RootFs {
            kind: "layers".to_owned(),
            diff_ids: Vec::new(),
            extra: BTreeMap::new(),
        }
    }
}

/// Why bytes are not an image config.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There are too many bytes.
    #[error("image config of {size} bytes is larger than {MAX_CONFIG_SIZE}")]
    TooLarge {
        /// How many there are.
        size: u64,
    },
    /// The bytes are not JSON of this form.
    #[error("image config is not valid: {reason}")]
    Json {
        /// What is wrong and where, in one line.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn known_and_unknown_fields_survive() {
        let value = json!({
            "created": "2026-01-01T00:00:00Z", "author": "me", "architecture": "arm64", "variant": "v8", "os": "windows",
            "os.version": "10.0", "os.features": ["win32k"], "config": {"Env": ["A=b"], "Future": {}},
            "rootfs": {"type": "layers", "diff_ids": [Digest::of(b"")], "base_layer": "x"},
            "history": [{"created": "now", "created_by": "RUN", "author": "me", "comment": "c", "empty_layer": true, "x": 1}],
            "docker_version": "28", "container_config": {"Cmd": null},
        });
        let config = ImageConfig::parse(value.to_string().as_bytes()).unwrap();
        assert_eq!(config.rootfs.diff_ids, [Digest::of(b"")]);
        assert_eq!(config.platform().to_string(), "windows/arm64/v8:10.0");
        assert_eq!(config.platform().os_features, ["win32k"]);
        assert_eq!(serde_json::to_value(config).unwrap(), value);
    }

    #[test]
    fn fields_are_in_the_order_of_other_tools() {
        let text = r#"{"architecture":"amd64","author":"me","container":"c","created":"now","docker_version":"28","history":[{"author":"me","created":"now","created_by":"RUN \u0026","comment":"c","empty_layer":true}],"os":"linux","rootfs":{"type":"layers","diff_ids":[]},"config":{"Cmd":["a"],"Healthcheck":{"Test":["NONE"],"Interval":1,"Retries":2,"StartInterval":3},"Entrypoint":["e"],"Env":["A=b"],"Labels":{"a":"1","b":"2"},"User":"u","Volumes":{"/v":{}},"WorkingDir":"/","ExposedPorts":{"80/tcp":{}},"StopSignal":"TERM","Shell":["sh"],"StopTimeout":5},"os.version":"10","variant":"v8","os.features":["f"],"moby.x":1}"#;
        let read: Value = serde_json::from_str(text).unwrap();
        let config = ImageConfig::parse(read.to_string().as_bytes()).unwrap();
        let written = crate::compact_json(&config).unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), text);
    }

    #[test]
    fn an_empty_config_is_one_without_facts() {
        for text in ["{}", r#"{"rootfs":null,"history":null,"config":null}"#] {
            let config = ImageConfig::parse(text.as_bytes()).unwrap();
            assert!(config.rootfs.diff_ids.is_empty() && config.history.is_empty());
        }
    }

    #[test]
    fn errors_say_where() {
        let message = |text: &str| ImageConfig::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(message(r#"{"rootfs":{"diff_ids":["sha256:0"]}}"#).contains("1 hex digits"));
        assert!(message("{").contains("line 1 column 1"));
        let large = " ".repeat(usize::try_from(MAX_CONFIG_SIZE).unwrap() + 1);
        assert!(message(&large).contains("larger than 8388608"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(bytes: Vec<u8>) {
            let _ = ImageConfig::parse(&bytes);
        }

        #[test]
        fn unknown_fields_survive(key in "x[a-z]{1,8}", value: i64) {
            let document = json!({"architecture": "a", "os": "b", "rootfs": {"type": "layers", "diff_ids": []}, key: value});
            let config = ImageConfig::parse(document.to_string().as_bytes()).unwrap();
            prop_assert_eq!(serde_json::to_value(config).unwrap(), document);
        }
    }
}
