//! Everything in memory, under one lock, so every change happens completely or not at all.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;
use wharf_core::Result;
use wharf_core::blob::ByteStream;
use wharf_core::sync::Lock;

use super::session::{LEFT_BEHIND, aborted, taken};
use super::{
    Applied, Driver, Entry, Folder, Key, Object, OpenSession, Session, Stat, Version, When,
};

/// A driver in memory. Cheap to clone; clones share the content.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Lock<State>>);

#[derive(Debug, Default)]
struct State {
    folders: HashMap<Folder, BTreeMap<Key, Kept>>,
    sessions: HashMap<Session, Upload>,
}

#[derive(Clone, Debug)]
struct Kept {
    bytes: Bytes,
    modified: SystemTime,
}

#[derive(Debug)]
struct Upload {
    bytes: BytesMut,
    state: Option<Bytes>,
    /// When a request last read or wrote it.
    touched: Instant,
    /// Held by the request that has it open.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Memory {
    /// A driver without content.
    pub fn new() -> Self {
        Memory::default()
    }

    /// Works on a session, if it is there, and records the access.
    fn with<T>(&self, session: &Session, work: impl FnOnce(&mut Upload) -> T) -> Option<T> {
        let mut state = self.0.lock();
        let upload = state.sessions.get_mut(session)?;
        upload.touched = Instant::now();
        Some(work(upload))
    }
}

impl State {
    fn find(&self, key: &Key) -> Option<&Kept> {
        self.folders.get(&key.folder())?.get(key)
    }

    fn insert(&mut self, key: &Key, bytes: Bytes) {
        let modified = SystemTime::now();
        let folder = self.folders.entry(key.folder()).or_default();
        folder.insert(key.clone(), Kept { bytes, modified });
    }
}

impl Kept {
    fn stat(&self) -> Stat {
        Stat {
            size: self.bytes.len() as u64,
            modified: self.modified,
        }
    }
}

#[async_trait]
impl Driver for Memory {
    async fn get(&self, key: &Key) -> Result<Option<Object>> {
        let found = self.0.lock().find(key).cloned();
        Ok(found.map(|Kept { bytes, .. }| Object {
            version: Version::of(&bytes),
            bytes,
        }))
    }

    async fn stat(&self, key: &Key) -> Result<Option<Stat>> {
        Ok(self.0.lock().find(key).map(Kept::stat))
    }

    async fn read(&self, key: &Key, start: u64, length: u64) -> Result<Option<ByteStream>> {
        let found = self.0.lock().find(key).cloned();
        let end = start.saturating_add(length);
        Ok(found.map(|kept| part(&kept.bytes, start, end)))
    }

    async fn put(&self, key: &Key, bytes: Bytes, when: When) -> Result<Applied> {
        let mut state = self.0.lock();
        if !when.holds(state.find(key).map(|kept| kept.bytes.as_ref())) {
            return Ok(Applied::Declined);
        }
        let version = Version::of(&bytes);
        state.insert(key, bytes);
        Ok(Applied::Done(version))
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<bool> {
        let mut state = self.0.lock();
        let Some(kept) = state.find(key) else {
            return Ok(false);
        };
        if version.is_some_and(|version| Version::of(&kept.bytes) != *version) {
            return Ok(false);
        }
        let folder = state.folders.get_mut(&key.folder());
        Ok(folder.is_some_and(|folder| folder.remove(key).is_some()))
    }

    async fn touch(&self, key: &Key) -> Result<bool> {
        let mut state = self.0.lock();
        let folder = state.folders.get_mut(&key.folder());
        let Some(kept) = folder.and_then(|folder| folder.get_mut(key)) else {
            return Ok(false);
        };
        kept.modified = SystemTime::now();
        Ok(true)
    }

    async fn list(&self, folder: &Folder, after: Option<&Key>, limit: usize) -> Result<Vec<Entry>> {
        let state = self.0.lock();
        let Some(folder) = state.folders.get(folder) else {
            return Ok(Vec::new());
        };
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let later = folder.range::<Key, _>((start, Bound::Unbounded));
        let entry = |(key, kept): (&Key, &Kept)| Entry {
            key: key.clone(),
            stat: kept.stat(),
        };
        Ok(later.take(limit).map(entry).collect())
    }

    async fn begin(&self, session: &Session) -> Result<()> {
        let begun = Upload {
            bytes: BytesMut::new(),
            state: None,
            touched: Instant::now(),
            turn: Arc::default(),
        };
        let sessions = &mut self.0.lock().sessions;
        sessions.retain(|_, upload| upload.touched.elapsed() < LEFT_BEHIND);
        sessions.insert(session.clone(), begun);
        Ok(())
    }

    async fn length(&self, session: &Session) -> Result<Option<u64>> {
        Ok(self.with(session, |upload| upload.bytes.len() as u64))
    }

    async fn open(&self, session: &Session) -> Result<Option<Box<dyn OpenSession>>> {
        let open = |upload: &mut Upload| {
            let turn = Arc::clone(&upload.turn).try_lock_owned();
            let turn = turn.map_err(|_| taken())?;
            let open = MemorySession {
                memory: self.clone(),
                session: session.clone(),
                length: upload.bytes.len() as u64,
                state: upload.state.clone(),
                _turn: turn,
            };
            Ok(Box::new(open) as Box<dyn OpenSession>)
        };
        self.with(session, open).transpose()
    }

    async fn abort(&self, session: &Session) -> Result<bool> {
        Ok(self.0.lock().sessions.remove(session).is_some())
    }
}

#[derive(Debug)]
struct MemorySession {
    memory: Memory,
    session: Session,
    length: u64,
    state: Option<Bytes>,
    _turn: OwnedMutexGuard<()>,
}

#[async_trait]
impl OpenSession for MemorySession {
    fn length(&self) -> u64 {
        self.length
    }

    fn state(&self) -> Option<&[u8]> {
        self.state.as_deref()
    }

    async fn write(&mut self, chunks: Vec<Bytes>) -> Result<()> {
        let write = |upload: &mut Upload| {
            for chunk in &chunks {
                upload.bytes.extend_from_slice(chunk);
            }
            upload.bytes.len() as u64
        };
        let written = self.memory.with(&self.session, write);
        self.length = written.ok_or_else(aborted)?;
        Ok(())
    }

    async fn save(&mut self, state: Bytes) -> Result<()> {
        let save = |upload: &mut Upload| upload.state = Some(state.clone());
        self.memory.with(&self.session, save);
        self.state = Some(state);
        Ok(())
    }

    async fn truncate(&mut self, length: u64) -> Result<()> {
        let most = usize::try_from(length).unwrap_or(usize::MAX);
        let cut = |upload: &mut Upload| {
            upload.bytes.truncate(most);
            upload.state = None;
            upload.bytes.len() as u64
        };
        let cut = self.memory.with(&self.session, cut);
        self.length = cut.ok_or_else(aborted)?;
        self.state = None;
        Ok(())
    }

    async fn read(&self, start: u64) -> Result<ByteStream> {
        let copy = |upload: &mut Upload| Bytes::copy_from_slice(&upload.bytes);
        let bytes = self.memory.with(&self.session, copy);
        Ok(part(&bytes.ok_or_else(aborted)?, start, u64::MAX))
    }

    async fn finish(self: Box<Self>, key: &Key) -> Result<()> {
        let mut state = self.memory.0.lock();
        let upload = state.sessions.remove(&self.session);
        let bytes = upload.ok_or_else(aborted)?.bytes.freeze();
        state.insert(key, bytes);
        Ok(())
    }
}

/// The existing bytes from `start` to `end`.
fn part(bytes: &Bytes, start: u64, end: u64) -> ByteStream {
    let place = |offset: u64| usize::try_from(offset).map_or(bytes.len(), |at| at.min(bytes.len()));
    let (start, end) = (place(start), place(end));
    let part = bytes.slice(start.min(end)..end);
    stream::iter((!part.is_empty()).then_some(Ok(part))).boxed()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_session_that_no_request_touched_for_a_day_is_gone() {
        let memory = Memory::new();
        let fresh = || Session::fresh("a".parse().unwrap());
        let (old, used) = (fresh(), fresh());
        memory.begin(&old).await.unwrap();
        memory.begin(&used).await.unwrap();
        tokio::time::advance(LEFT_BEHIND - Duration::from_secs(1)).await;
        memory.begin(&fresh()).await.unwrap();
        assert_eq!(memory.length(&old).await.unwrap(), Some(0));
        // Reading its length counts as access.
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(memory.length(&used).await.unwrap(), Some(0));
        tokio::time::advance(LEFT_BEHIND - Duration::from_secs(1)).await;
        memory.begin(&fresh()).await.unwrap();
        assert_eq!(memory.length(&old).await.unwrap(), None);
        assert_eq!(memory.length(&used).await.unwrap(), Some(0));
    }
}
