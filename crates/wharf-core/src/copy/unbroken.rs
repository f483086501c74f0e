//! Reads of a source that go on where they broke off, within one try (wire.md R3).
//!
//! A source that cuts each of its answers would otherwise never give a large blob: every try begins
//! at the first byte.

use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt, StreamExt, stream};

use crate::Result;
use crate::blob::{Blob, ByteStream};

/// The least bytes between two breaks. With fewer, the break is an error of the try.
const LEAST: u64 = 1 << 20;

/// The wait before the source is asked again.
const WAIT: Duration = Duration::from_millis(200);

/// The same blob; a stream of it that breaks off after some progress is opened again at its next
/// byte.
pub(super) fn unbroken(blob: &Blob) -> Blob {
    let inner = blob.clone();
    blob.opened_by(move |offset| {
        let blob = inner.clone();
        async move {
            let reading = Reading {
                stream: blob.open(offset).await?,
                blob,
                at: offset,
                since: offset,
            };
            let chunks = stream::try_unfold(reading, |mut reading| async move {
                let chunk = reading.next().await?;
                Ok(chunk.map(|chunk| (chunk, reading)))
            });
            Ok(chunks.boxed())
        }
        .boxed()
    })
}

struct Reading {
    blob: Blob,
    stream: ByteStream,
    /// The next byte.
    at: u64,
    /// Where the stream was opened.
    since: u64,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            let error = match self.stream.next().await {
                None => return Ok(None),
                Some(Ok(chunk)) => {
                    self.at = self.at.saturating_add(chunk.len() as u64);
                    return Ok(Some(chunk));
                }
                Some(Err(error)) => error,
            };
            let progress = self.at.saturating_sub(self.since);
            if !error.is_transient() || progress < LEAST || self.at >= self.blob.descriptor().size {
                return Err(error);
            }
            tracing::debug!(%error, at = self.at, "source broke off: reading on");
            tokio::time::sleep(WAIT).await;
            // What is wrong with the source now is told by the next try.
            let Ok(stream) = self.blob.open(self.at).await else {
                return Err(error);
            };
            (self.stream, self.since) = (stream, self.at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use wharf_oci::{Descriptor, Digest, MediaType};

    use super::*;
    use crate::{Error, ErrorKind};

    /// A blob of 4 MiB with streams that break after `piece` bytes.
    fn breaking(piece: usize, kind: ErrorKind, opened: &Arc<AtomicU32>) -> Blob {
        let content = Bytes::from(vec![7; 4 << 20]);
        let digest = Digest::of(&content);
        let descriptor = Descriptor::new(MediaType::OCTET_STREAM, digest, content.len() as u64);
        let opened = Arc::clone(opened);
        Blob::new(descriptor, move |offset| {
            opened.fetch_add(1, Ordering::SeqCst);
            let rest = content.slice(offset as usize..);
            let broken = rest.len() > piece;
            let first = Ok(rest.slice(..piece.min(rest.len())));
            let end = broken.then(|| Err(Error::new(kind, "cut").transient(kind.is_transient())));
            let chunks = stream::iter([Some(first), end].into_iter().flatten());
            async move { Ok(chunks.boxed()) }.boxed()
        })
    }

    #[tokio::test(start_paused = true)]
    async fn fault_x_resume_a_read_that_breaks_after_progress_goes_on_at_its_next_byte() {
        let opened = Arc::new(AtomicU32::new(0));
        let blob = unbroken(&breaking(1 << 20, ErrorKind::Interrupted, &opened));
        assert_eq!(blob.read_all(8 << 20).await.unwrap().len(), 4 << 20);
        assert_eq!(opened.load(Ordering::SeqCst), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn fault_x_resume_a_read_without_progress_or_of_a_lasting_error_ends() {
        for (piece, kind) in [
            (1000, ErrorKind::Interrupted),
            (2 << 20, ErrorKind::Corrupt),
        ] {
            let opened = Arc::new(AtomicU32::new(0));
            let blob = unbroken(&breaking(piece, kind, &opened));
            let error = blob.read_all(8 << 20).await.unwrap_err();
            assert_eq!(error.kind(), kind);
            assert_eq!(opened.load(Ordering::SeqCst), 1);
        }
    }
}
