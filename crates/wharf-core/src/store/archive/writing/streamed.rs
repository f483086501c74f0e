//! A tar in a stream: one member after the other.
//!
//! A member that broke off keeps its turn, and the next try continues it: what was written to a
//! stream cannot be taken back.

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::head;
use crate::sync::Lock;
use crate::verify::blocking;
use crate::{Error, ErrorKind, Result};

/// The stream.
pub(super) struct Streamed {
    out: Arc<Lock<Box<dyn Write + Send>>>,
    name: Arc<str>,
    turn: Arc<Semaphore>,
    /// Whether the last bytes written are inside of a member.
    inside: AtomicBool,
}

/// The turn of a member.
#[derive(Debug)]
pub(super) struct Turn {
    /// Until it is written, before the first byte.
    head: Option<Vec<u8>>,
    size: u64,
    _turn: OwnedSemaphorePermit,
}

impl Streamed {
    pub(super) fn new(out: Box<dyn Write + Send>, name: &str) -> Self {
        Streamed {
            out: Arc::new(Lock::new(out)),
            name: name.into(),
            turn: Arc::new(Semaphore::new(1)),
            inside: AtomicBool::new(false),
        }
    }

    /// A pipe or device, or a file that is open already. Opening a pipe waits for its reader. Blocking.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let opened = File::options().append(true).open(path);
        let opened = opened.map_err(|error| Error::io(&name, error))?;
        Ok(Streamed::new(Box::new(opened), &name))
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Waits until no other member is being written.
    pub(super) async fn begin(&self, head: Vec<u8>, size: u64) -> Result<Turn> {
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        let closed = |_| Error::new(ErrorKind::Invalid, "the archive is finished already");
        let turn = turn.map_err(|error| closed(error).target(&self.name))?;
        if self.inside.load(Ordering::Acquire) {
            let message = "content before this broke off in the stream: begin again";
            return Err(Error::new(ErrorKind::Cancelled, message).target(&self.name));
        }
        Ok(Turn {
            head: Some(head),
            size,
            _turn: turn,
        })
    }

    pub(super) async fn write(&self, turn: &mut Turn, chunks: Vec<Bytes>) -> Result<()> {
        self.inside.store(true, Ordering::Release);
        let head = turn.head.take().map(Bytes::from);
        self.push(head.into_iter().chain(chunks).collect()).await
    }

    /// The content of the member is whole.
    pub(super) async fn end(&self, mut turn: Turn) -> Result<()> {
        let padding = usize::try_from(head::padding(turn.size)).unwrap_or_default();
        self.write(&mut turn, vec![vec![0; padding].into()]).await?;
        self.inside.store(false, Ordering::Release);
        Ok(())
    }

    /// Ends the tar.
    pub(super) async fn finish(&self) -> Result<()> {
        let turn = self.begin(Vec::new(), 0).await?;
        self.turn.close();
        drop(turn);
        self.push(vec![Bytes::from_static(&head::END)]).await?;
        let out = Arc::clone(&self.out);
        let flushed = blocking(move || out.lock().flush()).await?;
        flushed.map_err(|error| self.failed(error))
    }

    async fn push(&self, chunks: Vec<Bytes>) -> Result<()> {
        let out = Arc::clone(&self.out);
        let written = blocking(move || {
            let mut out = out.lock();
            chunks.iter().try_for_each(|chunk| out.write_all(chunk))
        });
        written.await?.map_err(|error| self.failed(error))
    }

    /// A closed pipe is told from other errors.
    fn failed(&self, error: std::io::Error) -> Error {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Error::io(&self.name, error).unread(),
            _ => Error::io(&self.name, error),
        }
    }
}

impl fmt::Debug for Streamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Streamed").field(&self.name).finish()
    }
}
