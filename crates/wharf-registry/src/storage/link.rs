//! The small objects that record the manifests, tags and referrers of a repository.
//!
//! A broken one, for example an empty file after a loss of power, counts as absent. It is logged,
//! and the next write repairs it.

use bytes::Bytes;
use wharf_core::Result;
use wharf_oci::{Descriptor, Digest, Manifest, MediaType};

use crate::driver::Key;

/// The link from a repository to a manifest.
#[derive(Clone, Debug)]
pub(super) struct ManifestLink {
    pub(super) media_type: MediaType,
    /// The digest of its content in the pool. It differs from the manifest's digest if that covers
    /// the signed part only (schema 1): the pool holds content under its own digest only.
    pub(super) content: Digest,
}

/// The last line of a link while its manifest is being deleted; see `manifests.rs`.
const LEAVING: &str = "leaving\n";

impl ManifestLink {
    pub(super) fn of(manifest: &Manifest) -> Self {
        let content = Digest::of_with(manifest.digest().algorithm(), manifest.bytes());
        ManifestLink {
            media_type: manifest.media_type().clone(),
            content,
        }
    }

    pub(super) fn to_bytes(&self) -> Bytes {
        format!("{}\n{}\n", self.media_type.as_str(), self.content).into()
    }

    /// The link of a manifest that is being deleted; it is still there.
    pub(super) fn leaving(&self) -> Bytes {
        format!("{}\n{}\n{LEAVING}", self.media_type.as_str(), self.content).into()
    }

    pub(super) fn is_leaving(bytes: &[u8]) -> bool {
        bytes.ends_with(LEAVING.as_bytes())
    }

    pub(super) fn parse(key: &Key, bytes: &[u8]) -> Option<Self> {
        let parsed = std::str::from_utf8(bytes).ok().and_then(|text| {
            let text = text.strip_suffix(LEAVING).unwrap_or(text);
            let (media_type, content) = text.trim_end().split_once('\n')?;
            Some(ManifestLink {
                media_type: MediaType::verbatim(media_type),
                content: content.parse().ok()?,
            })
        });
        reported(key, parsed)
    }
}

/// The content of a tag.
pub(super) fn tag_to_bytes(digest: &Digest) -> Bytes {
    digest.to_string().into()
}

/// The least bytes of a tag's content: those of the shortest digest.
pub(super) const LEAST_OF_TAG: u64 = "sha256:".len() as u64 + 64;

/// The digest that a tag names, whether or not that manifest is there.
pub(super) fn parse_tag(key: &Key, bytes: &[u8]) -> Option<Digest> {
    let text = std::str::from_utf8(bytes).ok();
    let digest = text.and_then(|text| text.trim_end().parse().ok());
    reported(key, digest)
}

/// The descriptor that lists of referrers show.
pub(super) fn referrer_to_bytes(descriptor: &Descriptor) -> Result<Bytes> {
    let json = serde_json::to_vec(descriptor).map_err(std::io::Error::other)?;
    Ok(json.into())
}

pub(super) fn parse_referrer(key: &Key, bytes: &[u8]) -> Option<Descriptor> {
    reported(key, serde_json::from_slice(bytes).ok())
}

/// Logs a link that could not be parsed.
fn reported<T>(key: &Key, parsed: Option<T>) -> Option<T> {
    if parsed.is_none() {
        let message = "a broken link counts as absent until it is written again";
        tracing::error!(link = key.path(), message);
    }
    parsed
}
