//! All repositories and sessions in memory.

use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;
use wharf_core::blob::ByteStream;
use wharf_core::store::Store;
use wharf_core::{Error, Result};
use wharf_oci::{Algorithm, Descriptor, Digest, Manifest, RepositoryName, Tag};

use super::repository::MemoryRepository;
use super::state::{Shared, described, missing};
use crate::storage::{
    Condition, ReferrersPage, ReferrersQuery, SessionId, Storage, Written, session,
};

/// A storage in memory.
#[derive(Debug, Default)]
pub struct Memory {
    shared: Shared,
}

impl Memory {
    /// An empty storage.
    pub fn new() -> Self {
        Memory::default()
    }

    /// Copies a chunk into a session and gives its length.
    fn extend(
        &self,
        key: &(RepositoryName, SessionId),
        offset: Option<u64>,
        chunk: &[u8],
    ) -> Result<u64> {
        let mut state = self.shared.lock();
        let found = state.sessions.get_mut(key);
        let found = found.ok_or_else(|| session::missing(&key.1))?;
        session::check_offset(offset, found.bytes.len() as u64)?;
        found.bytes.extend_from_slice(chunk);
        found.touched = Instant::now();
        Ok(found.bytes.len() as u64)
    }

    fn take(&self, id: &SessionId, repository: &RepositoryName) -> Result<Bytes> {
        let key = (repository.clone(), id.clone());
        let taken = self.shared.lock().sessions.remove(&key);
        let taken = taken.ok_or_else(|| session::missing(id))?;
        Ok(taken.bytes.freeze())
    }

    /// Waits until no other request writes to a session.
    async fn turn(&self, key: &(RepositoryName, SessionId)) -> Result<OwnedMutexGuard<()>> {
        let turn = {
            let state = self.shared.lock();
            let found = state.sessions.get(key);
            Arc::clone(&found.ok_or_else(|| session::missing(&key.1))?.turn)
        };
        let waited = tokio::time::timeout(session::PATIENCE, turn.lock_owned()).await;
        waited.map_err(|_| session::taken())
    }
}

#[async_trait]
impl Storage for Memory {
    async fn repository(&self, name: &RepositoryName) -> Result<Arc<dyn Store>> {
        let shared = self.shared.clone();
        Ok(Arc::new(MemoryRepository::new(shared, name.clone())))
    }

    async fn exists(&self, name: &RepositoryName) -> Result<bool> {
        Ok(self.shared.lock().repositories.contains_key(name))
    }

    async fn repositories(
        &self,
        after: Option<&RepositoryName>,
        limit: usize,
    ) -> Result<Vec<RepositoryName>> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let state = self.shared.lock();
        let later = state
            .repositories
            .range::<RepositoryName, _>((start, Bound::Unbounded));
        Ok(later.take(limit).map(|(name, _)| name.clone()).collect())
    }

    async fn put_manifest(
        &self,
        repository: &RepositoryName,
        manifest: &Manifest,
        tags: &[Tag],
        condition: Option<&Condition>,
    ) -> Result<Written> {
        let mut state = self.shared.lock();
        Ok(state.put(repository, manifest, tags, condition))
    }

    async fn referrers(
        &self,
        repository: &RepositoryName,
        query: &ReferrersQuery,
    ) -> Result<ReferrersPage> {
        let state = self.shared.lock();
        let content = state.repositories.get(repository);
        let page = content.map(|content| content.referrers(query));
        page.unwrap_or_else(|| Ok(ReferrersPage::default()))
    }

    async fn delete_blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<()> {
        let mut state = self.shared.lock();
        let content = state.repositories.get_mut(repository);
        let removed = content.and_then(|content| content.blobs.remove(digest));
        removed.map(drop).ok_or_else(|| missing(digest))
    }

    async fn mount(
        &self,
        digest: &Digest,
        from: Option<&RepositoryName>,
        into: &RepositoryName,
    ) -> Result<bool> {
        let mut state = self.shared.lock();
        let found = match from {
            Some(from) => state.content(from).ok().and_then(|c| c.blobs.get(digest)),
            None => {
                let mut all = state.repositories.values();
                all.find_map(|content| content.blobs.get(digest))
            }
        };
        let Some(bytes) = found.cloned() else {
            return Ok(false);
        };
        state.content_mut(into).blobs.insert(digest.clone(), bytes);
        Ok(true)
    }

    async fn begin(&self, repository: &RepositoryName) -> Result<SessionId> {
        Ok(self.shared.lock().begin(repository))
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
        let _turn = self.turn(&key).await?;
        let mut length = self.extend(&key, offset, &[])?;
        while let Some(chunk) = bytes.next().await.transpose()? {
            length = self.extend(&key, Some(length), &chunk)?;
        }
        Ok(length)
    }

    async fn status(&self, id: &SessionId, repository: &RepositoryName) -> Result<u64> {
        self.extend(&(repository.clone(), id.clone()), None, &[])
    }

    async fn settled(&self, id: &SessionId, repository: &RepositoryName) -> Result<u64> {
        let _turn = self.turn(&(repository.clone(), id.clone())).await?;
        self.status(id, repository).await
    }

    async fn finish(
        &self,
        id: &SessionId,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Descriptor> {
        let _turn = self.turn(&(repository.clone(), id.clone())).await?;
        let bytes = self.take(id, repository)?;
        let found = Digest::of_with(digest.algorithm(), &bytes);
        if found != *digest {
            return Err(Error::digest_mismatch(digest, &found));
        }
        let descriptor = described(digest, &bytes);
        let mut state = self.shared.lock();
        state.content_mut(repository).blobs.insert(found, bytes);
        Ok(descriptor)
    }

    async fn cancel(&self, id: &SessionId, repository: &RepositoryName) -> Result<()> {
        self.take(id, repository).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wharf_core::ErrorKind;

    use super::*;
    use crate::storage::session::LEFT_BEHIND;

    #[tokio::test(start_paused = true)]
    async fn a_session_that_nobody_touched_for_a_day_is_gone() {
        let (memory, name) = (Memory::new(), "a".parse().unwrap());
        let old = memory.begin(&name).await.unwrap();
        let used = memory.begin(&name).await.unwrap();
        tokio::time::advance(LEFT_BEHIND - Duration::from_secs(1)).await;
        memory.begin(&name).await.unwrap();
        assert_eq!(memory.status(&old, &name).await.unwrap(), 0);
        // To ask is to touch.
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(memory.status(&used, &name).await.unwrap(), 0);
        tokio::time::advance(LEFT_BEHIND - Duration::from_secs(1)).await;
        memory.begin(&name).await.unwrap();
        let gone = memory.status(&old, &name).await.unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NotFound);
        assert_eq!(memory.status(&used, &name).await.unwrap(), 0);
    }
}
