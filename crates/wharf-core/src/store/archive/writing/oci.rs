//! An image layout in a tar, written.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;
use wharf_oci::{
    Descriptor, Digest, INDEX_FILE, Index, LayoutMarker, Manifest, MediaType, OCI_LAYOUT_FILE,
    Selector, Tag,
};

use super::catalogue::{Catalogue, found};
use super::output::Output;
use super::tarball::Tarball;
use crate::Result;
use crate::blob::Blob;
use crate::intake::Intake;
use crate::store::layout::{blob_path, listing};
use crate::store::{Names, Outcome, Source, Store};

/// An image layout in a tar that is being written, as a store; cheap to clone. What it has is lost
/// unless [`OciArchiveWriter::finish`] is called.
///
/// ```no_run
/// # use wharf_core as wharf;
/// use wharf::store::archive::{OciArchiveWriter, Output};
///
/// # async fn example(layout: wharf::Layout, root: wharf::copy::Root) -> wharf::Result<()> {
/// let output = Output::Path("app.tar".into());
/// let archive = OciArchiveWriter::create(output, "/tmp".as_ref()).await?;
/// wharf::copy::copy(&layout, &archive, &[root], &Default::default()).await?;
/// archive.finish().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct OciArchiveWriter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    tarball: Tarball,
    catalogue: Catalogue,
}

impl OciArchiveWriter {
    /// Begins an archive. `spool_dir` is for layers that are made or unpacked on their way into a
    /// stream, because their size stands before them; a file has them in its own folder.
    ///
    /// # Errors
    /// What the system says about the file or its folder.
    pub async fn create(output: Output, spool_dir: &Path) -> Result<Self> {
        let tarball = Tarball::create(output, spool_dir).await?;
        let marker = json(&LayoutMarker::default());
        tarball.document(OCI_LAYOUT_FILE, marker).await?;
        Ok(OciArchiveWriter(Arc::new(Inner {
            tarball,
            catalogue: Catalogue::default(),
        })))
    }

    /// Ends the archive; a file gets its name, durably.
    ///
    /// # Errors
    /// What the system says. A file that was there before is there still.
    pub async fn finish(&self) -> Result<()> {
        let mut index = Index::new(Vec::new());
        for root in self.0.catalogue.roots() {
            if root.tags.is_empty() {
                listing::enter(&mut index, root.manifest.descriptor(), None);
            }
            for tag in &root.tags {
                listing::enter(&mut index, root.manifest.descriptor(), Some(tag));
            }
        }
        self.0.tarball.document(INDEX_FILE, json(&index)).await?;
        self.0.tarball.finish().await
    }
}

#[async_trait]
impl Source for OciArchiveWriter {
    async fn resolve(&self, at: &Selector) -> Result<Descriptor> {
        found(self.0.catalogue.resolve(at), at, &self.0.tarball.name())
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        let digest = &descriptor.digest;
        let name = self.0.tarball.name();
        found(self.0.catalogue.manifest(digest), digest, &name)
    }

    fn place(&self) -> Option<String> {
        Some(self.0.tarball.name())
    }

    fn blob(&self, descriptor: &Descriptor) -> Blob {
        self.0.tarball.blob(descriptor)
    }

    async fn blob_size(&self, digest: &Digest) -> Result<u64> {
        let size = self.0.tarball.size(digest);
        found(size, digest, &self.0.tarball.name())
    }

    async fn tags(&self, after: Option<&Tag>, limit: usize) -> Result<Vec<Tag>> {
        Ok(self.0.catalogue.tags(after, limit))
    }
}

#[async_trait]
impl Store for OciArchiveWriter {
    async fn contains(&self, descriptor: &Descriptor) -> Result<bool> {
        Ok(self.0.tarball.contains(descriptor))
    }

    async fn put_blob(&self, blob: &Blob) -> Result<Outcome> {
        let name = blob_path(&blob.descriptor().digest);
        self.0.tarball.put(&name, blob).await
    }

    async fn ingest(&self, media_type: &MediaType, intake: Arc<dyn Intake>) -> Result<Descriptor> {
        let blob = self.0.tarball.keep(media_type, intake).await?;
        self.put_blob(&blob).await?;
        Ok(blob.descriptor().clone())
    }

    async fn put_manifest(&self, manifest: &Manifest, names: Names<'_>) -> Result<()> {
        let content = manifest.descriptor().clone();
        self.put_blob(&Blob::from_bytes(content, manifest.bytes().clone()))
            .await?;
        self.0.catalogue.enter(manifest, names);
        Ok(())
    }
}

fn json(document: &impl Serialize) -> Bytes {
    let bytes = serde_json::to_vec(document);
    bytes.expect("maps of texts and numbers are JSON").into()
}
