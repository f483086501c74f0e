//! A storage in memory: for tests and throw-away registries. Everything is gone with the value.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use wharf::blob::{Blob, ByteStream};
use wharf::oci::{Algorithm, Descriptor, Digest, MediaType, RepositoryName};
use wharf::store::{self, Source, Store};
use wharf::{Error, Result};

use super::{SessionId, Storage};

/// All repositories in memory.
#[derive(Debug, Default)]
pub struct Memory {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    repositories: BTreeMap<RepositoryName, store::Memory>,
    sessions: HashMap<(RepositoryName, SessionId), BytesMut>,
}

impl Memory {
    /// An empty storage.
    pub fn new() -> Self {
        Memory::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self, name: &RepositoryName) -> store::Memory {
        self.state()
            .repositories
            .entry(name.clone())
            .or_default()
            .clone()
    }

    /// Copies a chunk into a session and gives its length.
    fn extend(
        &self,
        key: &(RepositoryName, SessionId),
        offset: Option<u64>,
        chunk: &[u8],
    ) -> Result<u64> {
        let mut state = self.state();
        let bytes = state
            .sessions
            .get_mut(key)
            .ok_or_else(|| super::session::missing(&key.1))?;
        super::session::check_offset(offset, bytes.len() as u64)?;
        bytes.extend_from_slice(chunk);
        Ok(bytes.len() as u64)
    }

    fn take(&self, id: &SessionId, repository: &RepositoryName) -> Result<Bytes> {
        let taken = self
            .state()
            .sessions
            .remove(&(repository.clone(), id.clone()));
        Ok(taken.ok_or_else(|| super::session::missing(id))?.freeze())
    }
}

#[async_trait]
impl Storage for Memory {
    async fn repository(&self, name: &RepositoryName) -> Result<Arc<dyn Store>> {
        Ok(Arc::new(self.store(name)))
    }

    async fn exists(&self, name: &RepositoryName) -> Result<bool> {
        let known = self.state().repositories.get(name).cloned();
        let Some(store) = known else { return Ok(false) };
        // A repository that was only asked for has nothing in it.
        Ok(!store.blobs().is_empty() || !store.tags(None, 1).await?.is_empty())
    }

    async fn repositories(
        &self,
        after: Option<&RepositoryName>,
        limit: usize,
    ) -> Result<Vec<RepositoryName>> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let later: Vec<_> = {
            let state = self.state();
            let later = state
                .repositories
                .range::<RepositoryName, _>((start, Bound::Unbounded));
            later.map(|(name, _)| name.clone()).collect()
        };
        let mut names = Vec::new();
        for name in later {
            if names.len() == limit {
                break;
            }
            if self.exists(&name).await? {
                names.push(name);
            }
        }
        Ok(names)
    }

    async fn mount(
        &self,
        digest: &Digest,
        from: &RepositoryName,
        into: &RepositoryName,
    ) -> Result<bool> {
        let Some(source) = self.state().repositories.get(from).cloned() else {
            return Ok(false);
        };
        let Ok(size) = source.blob_size(digest).await else {
            return Ok(false);
        };
        let descriptor = Descriptor::new(MediaType::OCTET_STREAM, digest.clone(), size);
        self.store(into).put_blob(&source.blob(&descriptor)).await?;
        Ok(true)
    }

    async fn begin(&self, repository: &RepositoryName) -> Result<SessionId> {
        let id = SessionId::fresh();
        self.state()
            .sessions
            .insert((repository.clone(), id.clone()), BytesMut::new());
        Ok(id)
    }

    async fn append(
        &self,
        id: &SessionId,
        repository: &RepositoryName,
        offset: Option<u64>,
        _algorithm: Algorithm,
        mut bytes: ByteStream,
    ) -> Result<u64> {
        let key = (repository.clone(), id.clone());
        let mut length = self.extend(&key, offset, &[])?;
        while let Some(chunk) = bytes.next().await.transpose()? {
            length = self.extend(&key, Some(length), &chunk)?;
        }
        Ok(length)
    }

    async fn status(&self, id: &SessionId, repository: &RepositoryName) -> Result<u64> {
        self.extend(&(repository.clone(), id.clone()), None, &[])
    }

    async fn finish(
        &self,
        id: &SessionId,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Descriptor> {
        let bytes = self.take(id, repository)?;
        let found = Digest::of_with(digest.algorithm(), &bytes);
        if found != *digest {
            return Err(Error::digest_mismatch(digest, &found));
        }
        let size = bytes.len() as u64;
        let descriptor = Descriptor::new(MediaType::OCTET_STREAM, found, size);
        let blob = Blob::from_bytes(descriptor.clone(), bytes);
        self.store(repository).put_blob(&blob).await?;
        Ok(descriptor)
    }

    async fn cancel(&self, id: &SessionId, repository: &RepositoryName) -> Result<()> {
        self.take(id, repository).map(drop)
    }
}
