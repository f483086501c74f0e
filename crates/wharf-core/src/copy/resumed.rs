//! Streams that are opened again at their next byte when they break off.

use std::future::Future;

use futures::{StreamExt, stream};

use crate::blob::ByteStream;
use crate::{Error, Result};

/// Decides whether a stream that broke off is followed by another.
pub(super) trait Resume: Send + 'static {
    /// The stream from byte `at` on.
    ///
    /// # Errors
    /// Where none follows: `error`, or what became of the last try.
    fn resume(
        &mut self,
        at: u64,
        error: Error,
    ) -> impl Future<Output = Result<ByteStream>> + Send + '_;
}

/// The bytes of `stream`, which begins at byte `at`, and of those that follow it.
pub(super) fn resumed(stream: ByteStream, at: u64, resume: impl Resume) -> ByteStream {
    let reading = (stream, at, resume);
    let chunks = stream::try_unfold(reading, |(mut stream, at, mut resume)| async move {
        loop {
            match stream.next().await {
                None => return Ok(None),
                Some(Ok(chunk)) => {
                    let next = at.saturating_add(chunk.len() as u64);
                    return Ok(Some((chunk, (stream, next, resume))));
                }
                Some(Err(error)) => stream = resume.resume(at, error).await?,
            }
        }
    });
    chunks.boxed()
}
