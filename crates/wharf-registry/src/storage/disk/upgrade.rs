//! What is done once to a directory that an earlier version wrote.
//!
//! Format 1 kept no referrer links. They are made of the manifests that are there, and the
//! marker is set last: a process that dies on the way leaves the work to the next one.

use wharf_core::Result;
use wharf_oci::{Algorithm, Digest, RepositoryName};

use super::link::ManifestLink;
use super::manifests;
use super::storage::repositories;
use super::tree::{self, Tree};

/// Makes the referrer links of all manifests (distribution-spec: "Enabling the Referrers API").
pub(super) fn link_referrers(tree: &Tree) -> Result<()> {
    for name in repositories(tree)? {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            for hex in tree::entries(&tree.manifest_links(&name, algorithm))? {
                if let Ok(digest) = format!("{algorithm}:{hex}").parse() {
                    link_referrer(tree, &name, &digest)?;
                }
            }
        }
    }
    Ok(())
}

fn link_referrer(tree: &Tree, name: &RepositoryName, digest: &Digest) -> Result<()> {
    let Some(link) = ManifestLink::find(tree, name, digest)? else {
        return Ok(());
    };
    match manifests::parse(tree, digest, &link) {
        Some(manifest) => manifests::refer(tree, name, &manifest),
        None => {
            // It cannot be read over HTTP either; the rest must not suffer for it.
            tracing::warn!(%name, %digest, "the content of this manifest is broken or gone");
            Ok(())
        }
    }
}
