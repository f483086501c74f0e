//! `manifest.json` of a docker archive, and the names of its members. Pure.

use std::collections::BTreeMap;

use serde::Serialize;
use wharf_oci::{Compression, Descriptor, Digest};

/// One image of `manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Listing {
    pub(super) config: String,
    /// `null` for an image without a name, as `docker save` writes it.
    pub(super) repo_tags: Option<Vec<String>>,
    pub(super) layers: Vec<String>,
    /// Where foreign layers are from, by diff id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) layer_sources: BTreeMap<Digest, Descriptor>,
}

/// The member that has this config.
pub(super) fn config_name(digest: &Digest) -> String {
    digest.to_string()
}

/// The member that has this layer: what it is compressed with is told by its media type.
pub(super) fn layer_name(layer: &Descriptor) -> String {
    let suffix = match layer.media_type.compression() {
        Some(Compression::None) => ".tar",
        Some(Compression::Zstd) => ".tar.zst",
        Some(Compression::Gzip) | None => ".tar.gz",
    };
    format!("{}{suffix}", layer.digest.hex())
}

/// Each image once with all its names, in the order of these.
pub(super) fn joined(listings: Vec<Listing>) -> Vec<Listing> {
    let mut joined: Vec<Listing> = Vec::new();
    for listing in listings {
        let same = joined
            .iter_mut()
            .find(|other| (&other.config, &other.layers) == (&listing.config, &listing.layers));
        match same {
            Some(other) => {
                let names = listing.repo_tags.into_iter().flatten();
                let mut all = other.repo_tags.take().unwrap_or_default();
                all.extend(names);
                other.repo_tags = Some(all).filter(|all| !all.is_empty());
            }
            None => joined.push(listing),
        }
    }
    for names in joined
        .iter_mut()
        .filter_map(|listing| listing.repo_tags.as_mut())
    {
        names.sort();
        names.dedup();
    }
    joined.sort_by_key(|listing| listing.repo_tags.clone().unwrap_or_default().join(","));
    joined
}

#[cfg(test)]
mod tests {
    use wharf_oci::MediaType;

    use super::*;

    fn listing(config: &str, names: &[&str]) -> Listing {
        let names: Vec<String> = names.iter().copied().map(str::to_owned).collect();
        Listing {
            config: config.to_owned(),
            repo_tags: Some(names).filter(|names| !names.is_empty()),
            layers: Vec::new(),
            layer_sources: BTreeMap::new(),
        }
    }

    #[test]
    fn an_image_is_listed_once_with_all_its_names_and_images_are_sorted_by_them() {
        let listed = vec![
            listing("a", &["r/z:1"]),
            listing("b", &[]),
            listing("c", &["r/c:2"]),
            listing("a", &["r/a:2", "r/z:1"]),
        ];
        let expected = [
            listing("b", &[]),
            listing("a", &["r/a:2", "r/z:1"]),
            listing("c", &["r/c:2"]),
        ];
        assert_eq!(joined(listed), expected);
    }

    #[test]
    fn members_are_named_by_digest_and_compression() {
        let digest = Digest::of(b"a");
        for (media_type, suffix) in [
            (MediaType::DOCKER_LAYER_GZIP, ".tar.gz"),
            (MediaType::OCI_LAYER, ".tar"),
            (MediaType::OCI_LAYER_ZSTD, ".tar.zst"),
            (MediaType::OCTET_STREAM, ".tar.gz"),
        ] {
            let layer = Descriptor::new(media_type, digest.clone(), 1);
            assert_eq!(layer_name(&layer), format!("{}{suffix}", digest.hex()));
        }
        assert_eq!(config_name(&digest), format!("sha256:{}", digest.hex()));
    }

    #[test]
    fn is_written_as_other_tools_read_it() {
        let written = serde_json::to_string(&listing("c", &["r:1"])).unwrap();
        assert_eq!(written, r#"{"Config":"c","RepoTags":["r:1"],"Layers":[]}"#);
        let written = serde_json::to_string(&listing("c", &[])).unwrap();
        assert_eq!(written, r#"{"Config":"c","RepoTags":null,"Layers":[]}"#);
    }
}
