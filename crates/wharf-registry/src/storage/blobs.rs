//! The blobs of a repository: content of the pool that it has a link to.

use std::pin::pin;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, future, stream};
use wharf_core::Result;
use wharf_core::blob::ByteStream;
use wharf_oci::{Digest, RepositoryName};

use super::Storage;
use super::manifests::QUESTIONS;
use super::repositories::missing;
use crate::driver::{Key, When};

impl Storage {
    /// Whether a repository has a blob.
    pub async fn has_blob(&self, name: &RepositoryName, digest: &Digest) -> Result<bool> {
        let link = Key::BlobLink(name.clone(), digest.clone());
        Ok(self.driver.stat(&link).await?.is_some())
    }

    /// Whether the pool has this content, for any repository.
    pub async fn has_content(&self, digest: &Digest) -> Result<bool> {
        let content = Key::Content(digest.clone());
        Ok(self.driver.stat(&content).await?.is_some())
    }

    /// The first of these repositories that has a blob.
    pub async fn find_blob(
        &self,
        digest: &Digest,
        among: Vec<RepositoryName>,
    ) -> Result<Option<RepositoryName>> {
        let questions = stream::iter(among).map(|name| async move {
            let found = self.has_blob(&name, digest).await?;
            Ok(found.then_some(name))
        });
        let found = questions.buffered(QUESTIONS).try_filter_map(future::ok);
        pin!(found).try_next().await
    }

    /// The size of a blob in bytes.
    ///
    /// # Errors
    /// [`wharf_core::ErrorKind::NotFound`] if the repository does not have it.
    pub async fn blob_size(&self, name: &RepositoryName, digest: &Digest) -> Result<u64> {
        if !self.has_blob(name, digest).await? {
            return Err(missing(digest));
        }
        let content = self.driver.stat(&Key::Content(digest.clone())).await?;
        Ok(content.ok_or_else(|| missing(digest))?.size)
    }

    /// Streams `length` bytes of a blob from `start` on; both must lie within it.
    ///
    /// # Errors
    /// [`wharf_core::ErrorKind::NotFound`] if the repository does not have it.
    pub async fn read_blob(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        start: u64,
        length: u64,
    ) -> Result<ByteStream> {
        if !self.has_blob(name, digest).await? {
            return Err(missing(digest));
        }
        let content = Key::Content(digest.clone());
        let stream = self.driver.read(&content, start, length).await?;
        stream.ok_or_else(|| missing(digest))
    }

    /// Links a blob of the repository `from` to `into` too; without `from`, any content of the
    /// pool. Returns whether it was found.
    pub async fn mount(
        &self,
        digest: &Digest,
        from: Option<&RepositoryName>,
        into: &RepositoryName,
    ) -> Result<bool> {
        if let Some(from) = from
            && !self.has_blob(from, digest).await?
        {
            return Ok(false);
        }
        if !self.driver.touch(&Key::Content(digest.clone())).await? {
            return Ok(false);
        }
        self.link_blob(into, digest).await?;
        Ok(true)
    }

    /// Removes a blob from a repository; manifests that link to it stay.
    ///
    /// # Errors
    /// [`wharf_core::ErrorKind::NotFound`] if the repository does not have it.
    pub async fn delete_blob(&self, name: &RepositoryName, digest: &Digest) -> Result<()> {
        let link = Key::BlobLink(name.clone(), digest.clone());
        match self.driver.delete(&link, None).await? {
            true => Ok(()),
            false => Err(missing(digest)),
        }
    }

    /// Links content of the pool to a repository.
    pub(super) async fn link_blob(&self, name: &RepositoryName, digest: &Digest) -> Result<()> {
        self.mark(name).await?;
        let link = Key::BlobLink(name.clone(), digest.clone());
        let put = self.driver.put(&link, Bytes::new(), When::Always);
        put.await.map(drop)
    }
}
