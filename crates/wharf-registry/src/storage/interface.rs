//! What a registry asks of its storage.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use wharf_core::Result;
use wharf_core::blob::ByteStream;
use wharf_core::store::Store;
use wharf_oci::{Algorithm, Descriptor, Digest, Manifest, RepositoryName, Tag};

use super::{Condition, ReferrersPage, ReferrersQuery, SessionId, Written};

/// Anything that can hold the content of a registry.
///
/// An upload session is an ingest machine: begin, append any number of times, then finish or
/// cancel. A session belongs to one repository and is not found under another.
#[async_trait]
pub trait Storage: Debug + Send + Sync {
    /// One repository. It comes into being with the first thing written to it.
    ///
    /// # Errors
    /// What the storage says.
    async fn repository(&self, name: &RepositoryName) -> Result<Arc<dyn Store>>;

    /// Whether anything was ever written to a repository.
    ///
    /// # Errors
    /// What the storage says.
    async fn exists(&self, name: &RepositoryName) -> Result<bool>;

    /// At most `limit` names of repositories in lexical order, those after `after` (exclusive).
    ///
    /// # Errors
    /// What the storage says.
    async fn repositories(
        &self,
        after: Option<&RepositoryName>,
        limit: usize,
    ) -> Result<Vec<RepositoryName>>;

    /// Writes a manifest, by digest and under all of `tags`, where `condition` holds. No other
    /// write to the repository's manifests and tags happens between the look and the write.
    /// What it links to must be here already; its subject may come later, or never.
    ///
    /// # Errors
    /// [`wharf_core::ErrorKind::Busy`] where others write to the repository all the time; what the
    /// storage says. Some of the tags may have moved then.
    async fn put_manifest(
        &self,
        repository: &RepositoryName,
        manifest: &Manifest,
        tags: &[Tag],
        condition: Option<&Condition>,
    ) -> Result<Written>;

    /// A page of the manifests in a repository whose subject is the one of `query`; empty where
    /// there are none, or no such subject or repository.
    ///
    /// # Errors
    /// What the storage says.
    async fn referrers(
        &self,
        repository: &RepositoryName,
        query: &ReferrersQuery,
    ) -> Result<ReferrersPage>;

    /// Takes a blob out of a repository; manifests that link to it stay. Manifests and tags are
    /// deleted through [`Store::delete`].
    ///
    /// # Errors
    /// [`wharf_core::ErrorKind::NotFound`] where the repository does not have it.
    async fn delete_blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<()>;

    /// Makes a blob of the repository `from` one of `into` too; where `from` is not given, a
    /// blob of any repository. Whether it was found.
    ///
    /// # Errors
    /// What the storage says.
    async fn mount(
        &self,
        digest: &Digest,
        from: Option<&RepositoryName>,
        into: &RepositoryName,
    ) -> Result<bool>;

    /// Opens an upload session.
    ///
    /// # Errors
    /// What the storage says.
    async fn begin(&self, repository: &RepositoryName) -> Result<SessionId>;

    /// Adds bytes to a session and gives its new length in bytes.
    ///
    /// `offset` is where the bytes belong, the session's end where not given. `algorithm` is the
    /// one to hash with, if the first bytes of the session are among these. When `bytes` fail,
    /// those that came before stay in the session.
    ///
    /// # Errors
    /// [`wharf_core::ErrorKind::NotFound`] where there is no such session, or not any more when the
    /// bytes are written, [`wharf_core::ErrorKind::Invalid`] where `offset` is not its end,
    /// [`wharf_core::ErrorKind::Busy`] where another request writes to it and does not end within a
    /// second; what `bytes` or the storage says. The session is gone
    /// when the storage has no space for it.
    async fn append(
        &self,
        id: &SessionId,
        repository: &RepositoryName,
        offset: Option<u64>,
        algorithm: Algorithm,
        bytes: ByteStream,
    ) -> Result<u64>;

    /// How many bytes a session has; more are coming while a request writes to it.
    ///
    /// # Errors
    /// [`wharf_core::ErrorKind::NotFound`] where there is no such session.
    async fn status(&self, id: &SessionId, repository: &RepositoryName) -> Result<u64>;

    /// How many bytes a session has once no request writes to it any more. The last one may be
    /// about to find out that its client is gone; it is waited for, a second at most.
    ///
    /// # Errors
    /// [`wharf_core::ErrorKind::NotFound`] where there is no such session, [`wharf_core::ErrorKind::Busy`]
    /// where a request goes on writing.
    async fn settled(&self, id: &SessionId, repository: &RepositoryName) -> Result<u64>;

    /// Ends a session: its bytes become a blob of the repository, durably.
    ///
    /// # Errors
    /// [`wharf_core::ErrorKind::NotFound`] where there is no such session,
    /// [`wharf_core::ErrorKind::Corrupt`] where its bytes have another digest: the session is gone then.
    async fn finish(
        &self,
        id: &SessionId,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Descriptor>;

    /// Ends a session and forgets its bytes, also while a request writes to it: that one finds
    /// no session any more.
    ///
    /// # Errors
    /// [`wharf_core::ErrorKind::NotFound`] where there is no such session.
    async fn cancel(&self, id: &SessionId, repository: &RepositoryName) -> Result<()>;
}
