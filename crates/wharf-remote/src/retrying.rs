//! A repository that tries its requests again, whether it is read and written at a registry or read
//! from mirrors.

use std::sync::Arc;

use async_trait::async_trait;
use wharf_oci::{Descriptor, Digest, Manifest, MediaType, Repository, Selector, Tag};

use crate::endpoints::blobs::BlobPart;
use crate::endpoints::pages::{NextPage, Page};
use crate::tries::Tries;
use wharf_core::Result;
use wharf_core::blob::Blob;
use wharf_core::copy::RetryPolicy;
use wharf_core::intake::Intake;
use wharf_core::store::{Hints, Holding, Names, Outcome, Pulse, Source, Store};

/// What a repository is asked besides the methods of a [`Source`], with one try.
#[async_trait]
pub trait Raw: Source + Clone {
    /// Registry and name.
    fn repository(&self) -> &Repository;

    /// As [`Retrying::manifest_at`].
    async fn manifest_at(&self, at: &Selector) -> Result<Manifest>;

    /// As [`Retrying::tag_page`].
    async fn tag_page(&self, at: Option<&NextPage>) -> Result<Page<Tag>>;

    /// As [`Retrying::blob_part`].
    async fn blob_part(&self, digest: &Digest, start: u64, end: Option<u64>) -> Result<BlobPart>;
}

/// A repository of a registry that tries each request again after a transient error, as its policy
/// allows: a [`RemoteRepository`](crate::RemoteRepository) or a [`RemoteSource`](crate::RemoteSource).
#[derive(Clone, Debug)]
pub struct Retrying<R> {
    raw: R,
    tries: Tries,
}

impl<R: Raw> Retrying<R> {
    pub(crate) fn new(raw: R, tries: Tries) -> Self {
        Retrying { raw, tries }
    }

    /// Registry and name.
    pub fn repository(&self) -> &Repository {
        self.raw.repository()
    }

    /// The same with another policy of retries.
    #[must_use]
    pub fn with_retry(&self, policy: RetryPolicy) -> Self {
        Retrying::new(self.raw.clone(), Tries::by(policy))
    }

    /// The same, which tries each request once; with mirrors once at each, and once at the registry.
    #[must_use]
    pub fn single_tries(&self) -> Self {
        Retrying::new(self.raw.clone(), Tries::SINGLE)
    }

    /// The manifest that a tag or digest names, with one request instead of two. A registry may
    /// count it as a pull.
    ///
    /// # Errors
    /// As [`Source::resolve`] and [`Source::manifest`].
    pub async fn manifest_at(&self, at: &Selector) -> Result<Manifest> {
        self.tries.run(|| self.raw.manifest_at(at)).await
    }

    /// A page of tags: the first one, or the next one that a page named. It is always the
    /// registry's: a mirror may have but some of them.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](wharf_core::ErrorKind::NotFound) where the repository does not exist;
    /// [`ErrorKind::Invalid`](wharf_core::ErrorKind::Invalid) where the answer is no page of tags.
    pub async fn tag_page(&self, at: Option<&NextPage>) -> Result<Page<Tag>> {
        self.tries.run(|| self.raw.tag_page(at)).await
    }

    /// The bytes of a blob that is known by its digest alone, from byte `start` to before byte
    /// `end`. The answer has the size of the blob if the registry states it. The bytes are not
    /// compared with the digest, and a stream that breaks off does not continue. They are always the
    /// registry's: without the size a mirror cannot be judged before the last byte.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](wharf_core::ErrorKind::NotFound) where it is not here; what the
    /// registry says.
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
impl<R: Raw> Source for Retrying<R> {
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

#[async_trait]
impl<R: Raw + Store> Store for Retrying<R> {
    async fn contains(&self, descriptor: &Descriptor) -> Result<bool> {
        self.tries.run(|| self.raw.contains(descriptor)).await
    }

    async fn holding(&self, descriptor: &Descriptor) -> Result<Holding> {
        self.tries.run(|| self.raw.holding(descriptor)).await
    }

    async fn put_blob(&self, blob: &Blob) -> Result<Outcome> {
        match self.tries.policy() {
            Some(policy) => policy.put_blob(&self.raw, blob).await,
            None => self.raw.put_blob(blob).await,
        }
    }

    async fn ingest(&self, media_type: &MediaType, intake: Arc<dyn Intake>) -> Result<Descriptor> {
        match self.tries.policy() {
            Some(policy) => policy.ingest(&self.raw, media_type, intake).await,
            None => self.raw.ingest(media_type, intake).await,
        }
    }

    async fn put_manifest(&self, manifest: &Manifest, names: Names<'_>) -> Result<()> {
        let put = || self.raw.put_manifest(manifest, names);
        self.tries.run(put).await
    }

    async fn delete(&self, at: &Selector) -> Result<()> {
        match self.tries.policy() {
            Some(policy) => policy.delete(&self.raw, at).await,
            None => self.raw.delete(at).await,
        }
    }

    fn raw_store(&self) -> Option<&dyn Store> {
        self.tries.policy().map(|_| &self.raw as &dyn Store)
    }

    fn hints(&self) -> &dyn Hints {
        self.raw.hints()
    }
}
