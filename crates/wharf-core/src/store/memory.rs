//! A store in memory, for small content, drafts and tests. Dropping it drops the content.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{FutureExt, TryStreamExt};
use wharf_oci::{Descriptor, Digest, Manifest, MediaType, Selector, Tag};

use crate::blob::Blob;
use crate::intake::Intake;
use crate::store::{Names, Outcome, Source, Store};
use crate::sync::Lock;
use crate::{Error, ErrorKind, Result};

/// One repository held in memory; cheap to clone, clones share the content.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    content: Arc<Lock<Content>>,
}

#[derive(Debug, Default)]
struct Content {
    blobs: BTreeMap<Digest, Bytes>,
    manifests: BTreeMap<Digest, Manifest>,
    tags: BTreeMap<Tag, Digest>,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Memory::default()
    }

    /// Adds a blob and returns its descriptor.
    pub fn add_blob(&self, media_type: MediaType, bytes: impl Into<Bytes>) -> Descriptor {
        let bytes = bytes.into();
        let descriptor = Descriptor::new(media_type, Digest::of(&bytes), bytes.len() as u64);
        self.content
            .lock()
            .blobs
            .insert(descriptor.digest.clone(), bytes);
        descriptor
    }

    /// The digests of all blobs, without manifests.
    pub fn blobs(&self) -> Vec<Digest> {
        self.content.lock().blobs.keys().cloned().collect()
    }

    fn missing(what: impl std::fmt::Display) -> Error {
        Error::new(ErrorKind::NotFound, "not in this store").target(what)
    }
}

#[async_trait]
impl Source for Memory {
    async fn resolve(&self, at: &Selector) -> Result<Descriptor> {
        let content = self.content.lock();
        let digest = match at {
            Selector::Tag(tag) => content.tags.get(tag).ok_or_else(|| Self::missing(tag))?,
            Selector::Digest(digest) => digest,
        };
        let manifest = content
            .manifests
            .get(digest)
            .ok_or_else(|| Self::missing(digest))?;
        Ok(manifest.descriptor().clone())
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        let digest = &descriptor.digest;
        self.content
            .lock()
            .manifests
            .get(digest)
            .cloned()
            .ok_or_else(|| Self::missing(digest))
    }

    fn blob(&self, descriptor: &Descriptor) -> Blob {
        let (memory, wanted) = (self.clone(), descriptor.clone());
        Blob::new(descriptor.clone(), move |offset| {
            let found = memory.content.lock().blobs.get(&wanted.digest).cloned();
            let wanted = wanted.clone();
            async move {
                let bytes = found.ok_or_else(|| Self::missing(&wanted.digest))?;
                Blob::from_bytes(wanted, bytes).open(offset).await
            }
            .boxed()
        })
    }

    async fn blob_size(&self, digest: &Digest) -> Result<u64> {
        let content = self.content.lock();
        let bytes = content
            .blobs
            .get(digest)
            .ok_or_else(|| Self::missing(digest))?;
        Ok(bytes.len() as u64)
    }

    async fn precheck(&self, descriptor: &Descriptor) -> Result<()> {
        if self.contains(descriptor).await? {
            return Ok(());
        }
        Err(Self::missing(&descriptor.digest))
    }

    async fn tags(&self, after: Option<&Tag>, limit: usize) -> Result<Vec<Tag>> {
        let content = self.content.lock();
        let later = content
            .tags
            .keys()
            .filter(|tag| after.is_none_or(|after| *tag > after));
        Ok(later.take(limit).cloned().collect())
    }

    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        let content = self.content.lock();
        let refers = |manifest: &&Manifest| {
            let of = manifest.subject();
            of.is_some_and(|of| of.digest == *subject)
        };
        let found = content.manifests.values().filter(refers);
        Ok(found.map(Manifest::referrer_descriptor).collect())
    }
}

#[async_trait]
impl Store for Memory {
    async fn contains(&self, descriptor: &Descriptor) -> Result<bool> {
        let content = self.content.lock();
        let manifest = content.manifests.get(&descriptor.digest);
        let blob = content.blobs.get(&descriptor.digest);
        let blob = blob.map(|bytes| bytes.len() as u64);
        Ok(blob.or(manifest.map(Manifest::size)) == Some(descriptor.size))
    }

    async fn put_blob(&self, blob: &Blob) -> Result<Outcome> {
        let bytes = blob.read_all(u64::MAX).await?;
        self.content
            .lock()
            .blobs
            .insert(blob.descriptor().digest.clone(), bytes);
        Ok(Outcome::Written)
    }

    async fn ingest(&self, media_type: &MediaType, intake: Arc<dyn Intake>) -> Result<Descriptor> {
        let chunks: Vec<Bytes> = intake.open(0).await?.try_collect().await?;
        Ok(self.add_blob(media_type.clone(), chunks.concat()))
    }

    async fn put_manifest(&self, manifest: &Manifest, names: Names<'_>) -> Result<()> {
        let mut content = self.content.lock();
        let digest = manifest.digest();
        content.manifests.insert(digest.clone(), manifest.clone());
        for tag in names.tags() {
            content.tags.insert(tag.clone(), digest.clone());
        }
        Ok(())
    }

    async fn delete(&self, at: &Selector) -> Result<()> {
        let mut content = self.content.lock();
        let found = match at {
            Selector::Tag(tag) => content.tags.remove(tag).is_some(),
            Selector::Digest(digest) => {
                content.tags.retain(|_, tagged| tagged != digest);
                content.manifests.remove(digest).is_some()
            }
        };
        found.then_some(()).ok_or_else(|| Self::missing(at))
    }
}
