//! The small files that say what a repository has: of manifests, tags and referrers.

use std::path::Path;

use wharf_core::{Error, ErrorKind, Result};
use wharf_oci::{Descriptor, Digest, Manifest, MediaType, RepositoryName, Tag};

use super::tree::{self, Tree};

/// What makes a manifest one of a repository.
pub(super) struct ManifestLink {
    pub(super) media_type: MediaType,
    /// Whose content in the pool it is. Not the manifest's digest where that is of the signed
    /// part only (schema 1): the pool holds nothing under a digest that is not that of its bytes.
    pub(super) content: Digest,
}

impl ManifestLink {
    pub(super) fn of(manifest: &Manifest) -> Self {
        let content = Digest::of_with(manifest.digest().algorithm(), manifest.bytes());
        ManifestLink {
            media_type: manifest.media_type().clone(),
            content,
        }
    }

    pub(super) fn write(&self, tree: &Tree, name: &RepositoryName, digest: &Digest) -> Result<()> {
        let link = format!("{}\n{}\n", self.media_type, self.content);
        tree.write(&tree.manifest_link(name, digest), link.as_bytes())
    }

    pub(super) fn find(
        tree: &Tree,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<Self>> {
        let path = tree.manifest_link(name, digest);
        let Some(text) = tree::read(&path)? else {
            return Ok(None);
        };
        let link = text
            .trim_end()
            .split_once('\n')
            .and_then(|(media_type, content)| {
                let media_type = media_type.parse().ok()?;
                Some(ManifestLink {
                    media_type,
                    content: content.parse().ok()?,
                })
            });
        link.ok_or_else(|| broken(&path)).map(Some)
    }
}

/// What a tag says, whether or not that manifest is there.
pub(super) fn tagged(tree: &Tree, name: &RepositoryName, tag: &Tag) -> Result<Option<Digest>> {
    let path = tree.tag(name, tag);
    let Some(text) = tree::read(&path)? else {
        return Ok(None);
    };
    let digest = text.trim_end().parse();
    digest
        .map(Some)
        .map_err(|error| broken(&path).source(error))
}

/// Writes down that a manifest points at its subject: the descriptor that lists of referrers show.
pub(super) fn write_referrer(
    tree: &Tree,
    name: &RepositoryName,
    subject: &Digest,
    descriptor: &Descriptor,
) -> Result<()> {
    let path = tree.referrer_link(name, subject, &descriptor.digest);
    let json = serde_json::to_vec(descriptor).map_err(|error| broken(&path).source(error))?;
    tree.write(&path, &json)
}

/// The descriptor of a referrer, where it is one and still there: its own link decides, this one
/// may have been left behind by a process that died.
pub(super) fn referrer(
    tree: &Tree,
    name: &RepositoryName,
    subject: &Digest,
    digest: &Digest,
) -> Result<Option<Descriptor>> {
    let path = tree.referrer_link(name, subject, digest);
    let Some(text) = tree::read(&path)? else {
        return Ok(None);
    };
    if !tree.manifest_link(name, digest).is_file() {
        return Ok(None);
    }
    let descriptor = serde_json::from_str(&text);
    descriptor
        .map(Some)
        .map_err(|error| broken(&path).source(error))
}

fn broken(path: &Path) -> Error {
    Error::new(ErrorKind::Corrupt, "not a link").target(path.display())
}
