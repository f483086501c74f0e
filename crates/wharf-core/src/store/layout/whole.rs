//! A layout as one thing: its `index.json` taken for an index manifest.
//!
//! The bytes are those that were read when it was opened, whatever is written meanwhile.

use async_trait::async_trait;
use wharf_oci::{Descriptor, Digest, Manifest, Selector, Tag};

use super::LayoutReader;
use super::entry::{Entry, common_names};
use crate::Result;
use crate::blob::Blob;
use crate::store::Source;

/// A layout whose `index.json` is one of its manifests, so that all it lists can be copied as
/// one index, byte for byte. Cheap to clone.
#[derive(Clone, Debug)]
pub struct WholeLayout {
    reader: LayoutReader,
    index: Manifest,
    entry: Entry,
}

impl WholeLayout {
    /// The layout behind `reader`. Blocking.
    pub(crate) fn open(reader: LayoutReader) -> Result<Self> {
        let index = reader.index_manifest()?;
        let entry = common_names(index.descriptor().clone(), &reader.entries()?);
        Ok(WholeLayout {
            reader,
            index,
            entry,
        })
    }

    /// `index.json` as a manifest, with the name and tag that all entries share, if they do.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    fn is_index(&self, digest: &Digest) -> bool {
        self.index.digest() == digest
    }
}

#[async_trait]
impl Source for WholeLayout {
    async fn resolve(&self, at: &Selector) -> Result<Descriptor> {
        match at {
            Selector::Digest(digest) if self.is_index(digest) => {
                Ok(self.index.descriptor().clone())
            }
            _ => self.reader.resolve(at).await,
        }
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        match self.is_index(&descriptor.digest) {
            true => Ok(self.index.clone()),
            false => self.reader.manifest(descriptor).await,
        }
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
