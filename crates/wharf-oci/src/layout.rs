//! Names and marker of an image layout directory. OCI image-spec, "Image Layout Specification".

use serde::{Deserialize, Serialize};

/// The file that marks a directory as an image layout.
pub const OCI_LAYOUT_FILE: &str = "oci-layout";
/// The file that lists what the layout has.
pub const INDEX_FILE: &str = "index.json";
/// The directory of the content, `blobs/<algorithm>/<hex>`.
pub const BLOBS_DIR: &str = "blobs";
/// The version of the layout that is written.
pub const LAYOUT_VERSION: &str = "1.0.0";

/// The content of `oci-layout`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LayoutMarker {
    /// The version of the layout.
    pub image_layout_version: String,
}

impl Default for LayoutMarker {
    fn default() -> LayoutMarker {
        LayoutMarker {
            image_layout_version: LAYOUT_VERSION.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marker_is_what_the_specification_shows() {
        let marker = LayoutMarker::default();
        let json = serde_json::to_string(&marker).unwrap();
        assert_eq!(json, r#"{"imageLayoutVersion":"1.0.0"}"#);
        assert_eq!(serde_json::from_str::<LayoutMarker>(&json).unwrap(), marker);
    }
}
