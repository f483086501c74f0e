//! A repository that tries its requests again.

use std::sync::Arc;

use async_trait::async_trait;
use wharf_oci::{Descriptor, Digest, Manifest, MediaType, Repository, Selector, Tag};

use super::raw::RawRepository;
use crate::endpoints::blobs::BlobPart;
use crate::endpoints::pages::{NextPage, Page};
use crate::tries::Tries;
use wharf_core::Result;
use wharf_core::blob::Blob;
use wharf_core::copy::RetryPolicy;
use wharf_core::intake::Intake;
use wharf_core::store::{Hints, Holding, Names, Outcome, Pulse, Source, Store};

/// One repository of a registry. Cheap to clone.
///
/// Each method is tried again after a transient error, as the policy of the client allows
/// ([`ClientBuilder::retry`](crate::ClientBuilder::retry)); an interrupted blob continues at its
/// next byte. [`RemoteRepository::single_tries`] gives the repository to a program that has retries
/// of its own. A copy ([`wharf_core::copy`]) goes by its own policy, and retries do not multiply.
///
/// ```no_run
/// # mod wharf {
/// #     pub use wharf_core::{Result, Source};
/// #     pub use wharf_remote::Client;
/// # }
/// use wharf::Source;
///
/// # async fn example() -> wharf::Result<()> {
/// let client = wharf::Client::builder().build()?;
/// let hello = client.repository(&"ghcr.io/octo/hello".parse().expect("a repository"));
/// let patient = hello.resolve(&"latest".parse().expect("a tag")).await?;
/// let at_once = hello.single_tries().resolve(&"latest".parse().expect("a tag")).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RemoteRepository {
    raw: RawRepository,
    tries: Tries,
}

impl RemoteRepository {
    pub(crate) fn new(raw: RawRepository, tries: Tries) -> Self {
        RemoteRepository { raw, tries }
    }

    /// Registry and name.
    pub fn repository(&self) -> &Repository {
        self.raw.repository()
    }

    /// The same repository with another policy of retries.
    #[must_use]
    pub fn with_retry(&self, policy: RetryPolicy) -> Self {
        RemoteRepository::new(self.raw.clone(), Tries::by(policy))
    }

    /// The same repository, which tries each request once.
    #[must_use]
    pub fn single_tries(&self) -> Self {
        RemoteRepository::new(self.raw.clone(), Tries::SINGLE)
    }

    /// The manifest that a tag or digest names, with one request instead of two. A registry may
    /// count it as a pull.
    ///
    /// # Errors
    /// As [`Source::resolve`] and [`Source::manifest`].
    pub async fn manifest_at(&self, at: &Selector) -> Result<Manifest> {
        self.tries.run(|| self.raw.manifest_at(at)).await
    }

    /// A page of tags: the first one, or the next one that a page named.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](wharf_core::ErrorKind::NotFound) where the repository does not exist;
    /// [`ErrorKind::Invalid`](wharf_core::ErrorKind::Invalid) where the answer is no page of tags.
    pub async fn tag_page(&self, at: Option<&NextPage>) -> Result<Page<Tag>> {
        self.tries.run(|| self.raw.tag_page(at)).await
    }

    /// The bytes of a blob that is known by its digest alone, from byte `start` to before byte
    /// `end`. The answer has the size of the blob if the registry states it. The bytes are not
    /// compared with the digest, and a stream that breaks off does not continue.
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
impl Source for RemoteRepository {
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
impl Store for RemoteRepository {
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
