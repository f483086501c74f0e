//! What a registry asks of its storage.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use wharf::Result;
use wharf::blob::ByteStream;
use wharf::oci::{Algorithm, Descriptor, Digest, RepositoryName};
use wharf::store::Store;

use super::SessionId;

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

    /// Makes a blob of the repository `from` one of `into` too; whether `from` had it.
    ///
    /// # Errors
    /// What the storage says.
    async fn mount(
        &self,
        digest: &Digest,
        from: &RepositoryName,
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
    /// [`wharf::ErrorKind::NotFound`] where there is no such session,
    /// [`wharf::ErrorKind::Invalid`] where `offset` is not its end, [`wharf::ErrorKind::Busy`]
    /// where another request writes to it; what `bytes` or the storage says. The session is gone
    /// when the storage has no space for it.
    async fn append(
        &self,
        id: &SessionId,
        repository: &RepositoryName,
        offset: Option<u64>,
        algorithm: Algorithm,
        bytes: ByteStream,
    ) -> Result<u64>;

    /// How many bytes a session has.
    ///
    /// # Errors
    /// [`wharf::ErrorKind::NotFound`] where there is no such session.
    async fn status(&self, id: &SessionId, repository: &RepositoryName) -> Result<u64>;

    /// Ends a session: its bytes become a blob of the repository, durably.
    ///
    /// # Errors
    /// [`wharf::ErrorKind::NotFound`] where there is no such session,
    /// [`wharf::ErrorKind::Corrupt`] where its bytes have another digest: the session is gone then.
    async fn finish(
        &self,
        id: &SessionId,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Descriptor>;

    /// Ends a session and forgets its bytes.
    ///
    /// # Errors
    /// [`wharf::ErrorKind::NotFound`] where there is no such session.
    async fn cancel(&self, id: &SessionId, repository: &RepositoryName) -> Result<()>;
}
