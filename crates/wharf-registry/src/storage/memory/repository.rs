//! One repository in memory, as the library's store.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{FutureExt, TryStreamExt};
use wharf_core::Result;
use wharf_core::blob::Blob;
use wharf_core::intake::Intake;
use wharf_core::store::{Outcome, Source, Store};
use wharf_oci::{Descriptor, Digest, Manifest, MediaType, RepositoryName, Selector, Tag};

use super::state::{Content, Shared, described, missing};
use crate::storage::ReferrersQuery;

/// A repository; it comes into being with the first thing written to it.
#[derive(Clone, Debug)]
pub(super) struct MemoryRepository {
    shared: Shared,
    name: RepositoryName,
}

impl MemoryRepository {
    pub(super) fn new(shared: Shared, name: RepositoryName) -> Self {
        MemoryRepository { shared, name }
    }

    fn read<T>(&self, work: impl FnOnce(&Content) -> Result<T>) -> Result<T> {
        work(self.shared.lock().content(&self.name)?)
    }

    fn add(&self, digest: Digest, bytes: Bytes) {
        let mut state = self.shared.lock();
        state.content_mut(&self.name).blobs.insert(digest, bytes);
    }
}

#[async_trait]
impl Source for MemoryRepository {
    async fn resolve(&self, at: &Selector) -> Result<Descriptor> {
        self.read(|content| Ok(content.manifest(at)?.descriptor().clone()))
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        let at = Selector::Digest(descriptor.digest.clone());
        self.read(|content| content.manifest(&at).cloned())
    }

    fn blob(&self, descriptor: &Descriptor) -> Blob {
        let (repository, wanted) = (self.clone(), descriptor.clone());
        Blob::new(descriptor.clone(), move |offset| {
            let found = repository.read(|content| content.blob(&wanted.digest).cloned());
            let wanted = wanted.clone();
            async move { Blob::from_bytes(wanted, found?).open(offset).await }.boxed()
        })
    }

    async fn blob_size(&self, digest: &Digest) -> Result<u64> {
        self.read(|content| Ok(content.blob(digest)?.len() as u64))
    }

    async fn precheck(&self, descriptor: &Descriptor) -> Result<()> {
        if self.contains(descriptor).await? {
            return Ok(());
        }
        Err(missing(&descriptor.digest))
    }

    async fn tags(&self, after: Option<&Tag>, limit: usize) -> Result<Vec<Tag>> {
        self.read(|content| {
            let tags = content.tags.keys();
            let later = tags.filter(|tag| after.is_none_or(|after| *tag > after));
            Ok(later.take(limit).cloned().collect())
        })
    }

    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        let query = ReferrersQuery::all(subject.clone());
        let state = self.shared.lock();
        let content = state.repositories.get(&self.name);
        let page = content
            .map(|content| content.referrers(&query))
            .transpose()?;
        Ok(page.unwrap_or_default().descriptors)
    }
}

#[async_trait]
impl Store for MemoryRepository {
    async fn contains(&self, descriptor: &Descriptor) -> Result<bool> {
        let (digest, size) = (&descriptor.digest, descriptor.size);
        let state = self.shared.lock();
        let Some(content) = state.repositories.get(&self.name) else {
            return Ok(false);
        };
        let manifest = content.manifests.get(digest).map(Manifest::size);
        let blob = content.blobs.get(digest).map(|bytes| bytes.len() as u64);
        Ok(manifest.or(blob) == Some(size))
    }

    async fn put_blob(&self, blob: &Blob) -> Result<Outcome> {
        let bytes = blob.read_all(u64::MAX).await?;
        self.add(blob.descriptor().digest.clone(), bytes);
        Ok(Outcome::Written)
    }

    async fn ingest(&self, media_type: &MediaType, intake: Arc<dyn Intake>) -> Result<Descriptor> {
        let chunks: Vec<Bytes> = intake.open(0).await?.try_collect().await?;
        let bytes = Bytes::from(chunks.concat());
        let digest = Digest::of(&bytes);
        self.add(digest.clone(), bytes.clone());
        Ok(Descriptor {
            media_type: media_type.clone(),
            ..described(&digest, &bytes)
        })
    }

    async fn put_manifest(&self, manifest: &Manifest, tag: Option<&Tag>) -> Result<()> {
        self.put_tags(manifest, tag.map(std::slice::from_ref).unwrap_or_default())
            .await
    }

    async fn put_tags(&self, manifest: &Manifest, tags: &[Tag]) -> Result<()> {
        let mut state = self.shared.lock();
        state.put(&self.name, manifest, tags, None);
        Ok(())
    }

    async fn delete(&self, at: &Selector) -> Result<()> {
        let mut state = self.shared.lock();
        let content = state.repositories.get_mut(&self.name);
        content.ok_or_else(|| missing(at))?.delete(at)
    }

    async fn flush(&self) -> Result<()> {
        Ok(())
    }
}
