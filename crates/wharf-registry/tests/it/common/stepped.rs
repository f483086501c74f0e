//! A driver that stops before a step, as a process does that dies or is slow there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use wharf::Result;
use wharf::blob::ByteStream;
use wharf_core::sync::Lock;
use wharf_registry::driver::{
    Applied, Driver, Entry, Folder, Key, Object, OpenSession, Session, Stat, Version, When,
};

/// Passes a number of calls on to another driver, then waits until more are allowed.
#[derive(Debug)]
pub(crate) struct Stepped {
    inner: Arc<dyn Driver>,
    allowed: Semaphore,
    waiting: AtomicBool,
    writes: Lock<Vec<String>>,
    sessions: Arc<Counts>,
}

/// What was done to sessions.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Bytes that were read again.
    pub(crate) read: AtomicU64,
    /// States that were saved.
    pub(crate) saved: AtomicU64,
}

impl Stepped {
    pub(crate) fn over(inner: Arc<dyn Driver>, steps: usize) -> Arc<Self> {
        Arc::new(Stepped {
            inner,
            allowed: Semaphore::new(steps),
            waiting: AtomicBool::new(false),
            writes: Lock::default(),
            sessions: Arc::default(),
        })
    }

    /// Takes all steps from now on.
    pub(crate) fn release(&self) {
        self.allowed.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    /// The puts and deletes that happened, in order.
    pub(crate) fn writes(&self) -> Vec<String> {
        self.writes.lock().clone()
    }

    pub(crate) fn sessions(&self) -> &Counts {
        &self.sessions
    }

    /// Runs a task until it has taken its steps. Whether it ended with them.
    pub(crate) async fn run<T>(&self, task: &JoinHandle<T>) -> bool {
        while !task.is_finished() && !self.waiting.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
        task.is_finished()
    }

    async fn step(&self) -> &dyn Driver {
        if let Ok(permit) = self.allowed.try_acquire() {
            permit.forget();
        } else {
            self.waiting.store(true, Ordering::SeqCst);
            self.allowed.acquire().await.unwrap().forget();
        }
        &*self.inner
    }

    fn note(&self, what: &str, key: &Key) {
        let kind = format!("{key:?}");
        let kind = kind.split([' ', '(']).next().unwrap();
        self.writes.lock().push(format!("{what} {kind}"));
    }
}

#[async_trait]
impl Driver for Stepped {
    async fn get(&self, key: &Key) -> Result<Option<Object>> {
        self.step().await.get(key).await
    }

    async fn stat(&self, key: &Key) -> Result<Option<Stat>> {
        self.step().await.stat(key).await
    }

    async fn read(&self, key: &Key, start: u64, length: u64) -> Result<Option<ByteStream>> {
        self.step().await.read(key, start, length).await
    }

    async fn put(&self, key: &Key, bytes: Bytes, when: When) -> Result<Applied> {
        let put = self.step().await.put(key, bytes, when).await?;
        if put != Applied::Declined {
            self.note("put", key);
        }
        Ok(put)
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<bool> {
        let deleted = self.step().await.delete(key, version).await?;
        if deleted {
            self.note("delete", key);
        }
        Ok(deleted)
    }

    async fn touch(&self, key: &Key) -> Result<bool> {
        self.step().await.touch(key).await
    }

    async fn list(&self, folder: &Folder, after: Option<&Key>, limit: usize) -> Result<Vec<Entry>> {
        self.step().await.list(folder, after, limit).await
    }

    async fn begin(&self, session: &Session) -> Result<()> {
        self.step().await.begin(session).await
    }

    async fn length(&self, session: &Session) -> Result<Option<u64>> {
        self.step().await.length(session).await
    }

    async fn open(&self, session: &Session) -> Result<Option<Box<dyn OpenSession>>> {
        let opened = self.step().await.open(session).await?;
        let counts = &self.sessions;
        let counted = |inner| {
            let counts = Arc::clone(counts);
            Box::new(Counted { inner, counts }) as Box<dyn OpenSession>
        };
        Ok(opened.map(counted))
    }

    async fn abort(&self, session: &Session) -> Result<bool> {
        self.step().await.abort(session).await
    }
}

#[derive(Debug)]
struct Counted {
    inner: Box<dyn OpenSession>,
    counts: Arc<Counts>,
}

#[async_trait]
impl OpenSession for Counted {
    fn length(&self) -> u64 {
        self.inner.length()
    }

    fn state(&self) -> Option<&[u8]> {
        self.inner.state()
    }

    async fn write(&mut self, chunks: Vec<Bytes>) -> Result<()> {
        self.inner.write(chunks).await
    }

    async fn save(&mut self, state: Bytes) -> Result<()> {
        self.inner.save(state).await?;
        self.counts.saved.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn truncate(&mut self, length: u64) -> Result<()> {
        self.inner.truncate(length).await
    }

    async fn read(&self, start: u64) -> Result<ByteStream> {
        let again = self.length() - start;
        self.counts.read.fetch_add(again, Ordering::SeqCst);
        self.inner.read(start).await
    }

    async fn finish(self: Box<Self>, key: &Key) -> Result<()> {
        self.inner.finish(key).await
    }
}
