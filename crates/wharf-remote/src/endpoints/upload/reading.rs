//! The bytes of a blob as they are read for sending.

use futures::{StreamExt, stream};

use wharf_core::Result;
use wharf_core::blob::{Blob, ByteStream};

/// A blob and its stream.
pub(super) struct Reading<'a> {
    pub(super) blob: &'a Blob,
    /// The position of the stream's first byte. At 0 the whole blob is checked as it flows.
    pub(super) offset: u64,
    pub(super) stream: ByteStream,
}

impl<'a> Reading<'a> {
    /// Opens the blob from `offset` on and waits for its first bytes: a slow source must not make
    /// a session or connection wait (wire.md U9).
    ///
    /// # Errors
    /// What the source says.
    pub(super) async fn open(blob: &'a Blob, offset: u64) -> Result<Self> {
        let stream = first(bytes(blob, offset).await?).await?;
        Ok(Reading {
            blob,
            offset,
            stream,
        })
    }

    pub(super) fn size(&self) -> u64 {
        self.blob.descriptor().size
    }
}

/// A blob's bytes from `offset` on. From 0 they are checked against the digest. A rest is checked
/// for its length; the registry, which has the beginning, checks the digest.
pub(super) async fn bytes(blob: &Blob, offset: u64) -> Result<ByteStream> {
    if offset == 0 {
        return blob.read().await;
    }
    if blob.descriptor().size <= offset {
        // Does not open the source, which may not support an offset at its end.
        return Ok(stream::empty().boxed());
    }
    blob.read_rest(offset).await
}

/// The same stream, once its first bytes (or its end) are there.
pub(super) async fn first(stream: ByteStream) -> Result<ByteStream> {
    let mut stream = stream.peekable();
    let failed = match std::pin::Pin::new(&mut stream).peek().await {
        Some(Err(_)) => stream.next().await,
        _ => None,
    };
    match failed {
        Some(Err(error)) => Err(error),
        _ => Ok(stream.boxed()),
    }
}
