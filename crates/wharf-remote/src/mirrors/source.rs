//! A repository that is read from mirrors and tries its requests again.

use std::sync::Arc;

use async_trait::async_trait;
use wharf_oci::{Descriptor, Digest, Manifest, Repository, Selector, Tag};

use super::raw_source::RawSource;
use crate::endpoints::blobs::BlobPart;
use crate::endpoints::pages::{NextPage, Page};
use crate::tries::Tries;
use wharf_core::Result;
use wharf_core::blob::Blob;
use wharf_core::copy::RetryPolicy;
use wharf_core::store::{Pulse, Source};

/// One repository of a registry, read from the registry's mirrors if it has some. Cheap to clone;
/// made by [`Client::source`](crate::Client::source).
///
/// Each request goes to one mirror after the other, and then to the registry. If all fail, it is
/// tried again, as with [`RemoteRepository`](crate::RemoteRepository). Messages and mount sources
/// always name the registry, even if a mirror sent the bytes.
#[derive(Clone, Debug)]
pub struct RemoteSource {
    raw: RawSource,
    tries: Tries,
}

impl RemoteSource {
    pub(crate) fn new(raw: RawSource, tries: Tries) -> Self {
        RemoteSource { raw, tries }
    }

    /// Registry and name.
    pub fn repository(&self) -> &Repository {
        self.raw.repository()
    }

    /// The same source with another policy of retries.
    #[must_use]
    pub fn with_retry(&self, policy: RetryPolicy) -> Self {
        RemoteSource::new(self.raw.clone(), Tries::by(policy))
    }

    /// The same source, which tries each request once at each mirror, and once at the registry.
    #[must_use]
    pub fn single_tries(&self) -> Self {
        RemoteSource::new(self.raw.clone(), Tries::SINGLE)
    }

    /// The manifest that a tag or digest names, with one request where resolving it first would
    /// take two: from a mirror, else from the registry. A registry may count that as a pull.
    ///
    /// # Errors
    /// As [`Source::resolve`](wharf_core::Source::resolve) and
    /// [`Source::manifest`](wharf_core::Source::manifest).
    pub async fn manifest_at(&self, at: &Selector) -> Result<Manifest> {
        self.tries.run(|| self.raw.manifest_at(at)).await
    }

    /// A page of tags, from the registry: a mirror may have but some of them.
    ///
    /// # Errors
    /// As [`RemoteRepository::tag_page`](crate::RemoteRepository::tag_page).
    pub async fn tag_page(&self, at: Option<&NextPage>) -> Result<Page<Tag>> {
        self.tries.run(|| self.raw.tag_page(at)).await
    }

    /// The bytes of a blob that is known by its digest alone, from the registry: without the size
    /// a mirror cannot be judged before the last byte.
    ///
    /// # Errors
    /// As [`RemoteRepository::blob_part`](crate::RemoteRepository::blob_part).
    pub async fn blob_part(
        &self,
        digest: &Digest,
        start: u64,
        end: Option<u64>,
    ) -> Result<BlobPart> {
        let part = || self.raw.blob_part(digest, start, end);
        self.tries.run(part).await
    }
}

#[async_trait]
impl Source for RemoteSource {
    async fn resolve(&self, at: &Selector) -> Result<Descriptor> {
        self.tries.run(|| self.raw.resolve(at)).await
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        self.tries.run(|| self.raw.manifest(descriptor)).await
    }

    fn place(&self) -> Option<String> {
        self.raw.place()
    }

    fn pulse(&self) -> Option<Arc<Pulse>> {
        self.raw.pulse()
    }

    fn raw_source(&self) -> Option<&dyn Source> {
        self.tries.policy().map(|_| &self.raw as &dyn Source)
    }

    fn blob(&self, descriptor: &Descriptor) -> Blob {
        let blob = self.raw.blob(descriptor);
        match self.tries.policy() {
            Some(policy) => policy.reading(&blob),
            None => blob,
        }
    }

    async fn blob_size(&self, digest: &Digest) -> Result<u64> {
        self.tries.run(|| self.raw.blob_size(digest)).await
    }

    async fn tags(&self, after: Option<&Tag>, limit: usize) -> Result<Vec<Tag>> {
        self.tries.run(|| self.raw.tags(after, limit)).await
    }

    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        self.tries.run(|| self.raw.referrers(subject)).await
    }
}
