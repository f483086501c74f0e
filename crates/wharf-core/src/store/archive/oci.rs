//! An image layout inside a tar.

use std::sync::Arc;

use async_trait::async_trait;
use wharf_oci::{Descriptor, Digest, INDEX_FILE, Manifest, OCI_LAYOUT_FILE, Selector, Tag};

use super::members::Members;
use crate::Result;
use crate::blob::Blob;
use crate::store::Source;
use crate::store::files::Files;
use crate::store::layout::{Entry, LayoutReader, WholeLayout};

/// An OCI image layout in a tar (OCI image-spec, "Image Layout Specification"); cheap to clone.
#[derive(Clone, Debug)]
pub struct OciArchive {
    members: Arc<Members>,
    reader: LayoutReader,
}

impl OciArchive {
    /// Whether the archive has what marks a layout.
    pub(super) fn is_in(members: &Members) -> bool {
        members.has(OCI_LAYOUT_FILE) && members.has(INDEX_FILE)
    }

    /// Reads marker and index. Blocking.
    pub(super) fn read(members: Arc<Members>) -> Result<OciArchive> {
        let files: Arc<dyn Files> = members.clone();
        Ok(OciArchive {
            members,
            reader: LayoutReader::new(files)?,
        })
    }

    /// What the archive is called in messages.
    pub fn name(&self) -> &str {
        self.members.name()
    }

    /// What the layout lists, in its order. Blocking.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] where `index.json` is no index.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        self.reader.entries()
    }

    /// The entry that `wanted`, a tag, name or digest, means; without it the only one. A digest
    /// may be that of any manifest in the archive. Blocking.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] where nothing fits, [`crate::ErrorKind::Ambiguous`] where
    /// several entries do; both list what there is.
    pub fn select(&self, wanted: Option<&str>) -> Result<Entry> {
        self.reader.select(wanted)
    }

    /// The layout as one index: what `index.json` says, as a manifest. Blocking.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] where it lists nothing, [`crate::ErrorKind::Invalid`] where
    /// it is larger than a manifest may be.
    pub fn whole(&self) -> Result<WholeLayout> {
        WholeLayout::open(self.reader.clone())
    }
}

#[async_trait]
impl Source for OciArchive {
    async fn resolve(&self, at: &Selector) -> Result<Descriptor> {
        self.reader.resolve(at).await
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        self.reader.manifest(descriptor).await
    }

    fn place(&self) -> Option<String> {
        self.reader.place()
    }

    fn blob(&self, descriptor: &Descriptor) -> Blob {
        self.reader.blob(descriptor)
    }

    async fn blob_size(&self, digest: &Digest) -> Result<u64> {
        self.reader.blob_size(digest).await
    }

    async fn precheck(&self, descriptor: &Descriptor) -> Result<()> {
        self.reader.precheck(descriptor).await
    }

    async fn tags(&self, after: Option<&Tag>, limit: usize) -> Result<Vec<Tag>> {
        self.reader.tags(after, limit).await
    }
}
