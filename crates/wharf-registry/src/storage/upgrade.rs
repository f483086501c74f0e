//! Opening a directory, and the one upgrade of a directory that an earlier version wrote.
//!
//! Format 1 had no referrer links. They are made from the existing manifests. The marker is set
//! last: if the process dies before that, the next one starts again.

use std::path::PathBuf;
use std::sync::Arc;

use wharf_core::Result;
use wharf_oci::{Digest, RepositoryName};

use super::Storage;
use crate::driver::disk::Format;
use crate::driver::{Disk, Folder, Key, When};

impl Storage {
    /// The storage in a directory; one that an earlier version wrote is upgraded.
    ///
    /// # Errors
    /// As [`Disk::open`].
    pub async fn on_disk(directory: impl Into<PathBuf>) -> Result<Self> {
        let disk = Disk::open(directory).await?;
        let storage = Storage::new(Arc::new(disk.clone()));
        if disk.format() == Format::One {
            link_referrers(&storage).await?;
            disk.mark_upgraded().await?;
        }
        Ok(storage)
    }
}

/// Makes the referrer links of all manifests (distribution-spec: "Enabling the Referrers API").
async fn link_referrers(storage: &Storage) -> Result<()> {
    for repository in storage.all(&Folder::Repositories).await? {
        let Key::Repository(name) = repository else {
            continue;
        };
        for link in storage.all(&Folder::ManifestLinks(name)).await? {
            if let Key::ManifestLink(name, digest) = link {
                link_referrer(storage, &name, &digest).await?;
            }
        }
    }
    Ok(())
}

async fn link_referrer(storage: &Storage, name: &RepositoryName, digest: &Digest) -> Result<()> {
    match storage.manifest(name, digest).await {
        Ok(manifest) => storage.refer(name, &manifest, When::Always).await.map(drop),
        Err(error) => {
            // It cannot be read over HTTP either; the other manifests are still upgraded.
            tracing::warn!(%name, %digest, %error, "this manifest is broken or gone");
            Ok(())
        }
    }
}
