//! Reads a stream from blocking code, on a thread that may wait for it.

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use futures::StreamExt;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::blob::ByteStream;
use crate::{Error, ErrorKind, Result, thread};

/// A stream as a reader, for a thread that is not one of the runtime. An error of the stream passes
/// through as it is: [`Error::from`] finds it again.
pub(crate) struct StreamReader {
    runtime: Handle,
    stream: ByteStream,
    chunk: Bytes,
}

impl StreamReader {
    /// A reader of `stream`, which `runtime` drives.
    pub(crate) fn new(stream: ByteStream, runtime: Handle) -> Self {
        StreamReader {
            runtime,
            stream,
            chunk: Bytes::new(),
        }
    }
}

impl Read for StreamReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.runtime.block_on(self.stream.next()) {
                Some(chunk) => self.chunk = chunk.map_err(io::Error::other)?,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.chunk.len());
        let (part, _) = buffer.split_at_mut(length);
        self.chunk.copy_to_slice(part);
        Ok(length)
    }
}

/// Runs `work` on a reader of `stream`, on a thread of its own.
///
/// # Errors
/// What `work` says; [`ErrorKind::Cancelled`] if the thread dies.
pub(crate) async fn read_by<T, F>(stream: ByteStream, work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce(StreamReader) -> Result<T> + Send + 'static,
{
    let reader = StreamReader::new(stream, Handle::current());
    let (sender, receiver) = oneshot::channel();
    // The caller may be gone.
    thread::apart(move || drop(sender.send(work(reader))))?;
    let cancelled = |error| Error::new(ErrorKind::Cancelled, "reading was cancelled").source(error);
    receiver.await.map_err(cancelled)?
}
