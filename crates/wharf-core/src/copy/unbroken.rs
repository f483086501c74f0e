//! Reads of a source that go on where they broke off, within one try (wire.md R3).
//!
//! A source that cuts each of its answers would otherwise never give a large blob: every try begins
//! at the first byte.

use std::time::Duration;

use futures::FutureExt;

use super::resumed::{Resume, resumed};
use crate::blob::{Blob, ByteStream};
use crate::{Error, Result};

/// The least bytes between two breaks. With fewer, the break is an error of the try.
const LEAST: u64 = 1 << 20;

/// The wait before the source is asked again.
const WAIT: Duration = Duration::from_millis(200);

/// The same blob; a stream of it that breaks off after some progress is opened again at its next
/// byte. Retries of its own do not add to that.
pub(super) fn unbroken(blob: &Blob) -> Blob {
    let inner = blob.single_tries();
    let unbroken = blob.opened_by(move |offset| {
        let blob = inner.clone();
        async move {
            let stream = blob.open(offset).await?;
            let since = offset;
            Ok(resumed(stream, offset, Progress { blob, since }))
        }
        .boxed()
    });
    unbroken.with_parts_of(blob)
}

/// Goes on as long as there is progress.
struct Progress {
    blob: Blob,
    /// Where the stream was opened.
    since: u64,
}

impl Resume for Progress {
    async fn resume(&mut self, at: u64, error: Error) -> Result<ByteStream> {
        let progress = at.saturating_sub(self.since);
        if !error.is_transient() || progress < LEAST || at >= self.blob.descriptor().size {
            return Err(error);
        }
        tracing::debug!(%error, at, "source broke off: reading on");
        tokio::time::sleep(WAIT).await;
        // What is wrong with the source now is told by the next try.
        let Ok(stream) = self.blob.open(at).await else {
            return Err(error);
        };
        self.since = at;
        Ok(stream)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use bytes::Bytes;
    use futures::{StreamExt, stream};
    use wharf_oci::{Descriptor, Digest, MediaType};

    use super::*;
    use crate::ErrorKind;

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
