//! Blobs that continue after an interruption.

use futures::FutureExt;

use super::resumed::{Resume, resumed};
use super::retry::{PROGRESS_FACTOR, RetryPolicy};
use crate::blob::{Blob, ByteStream};
use crate::{Error, Result};

impl RetryPolicy {
    /// The same blob; a stream of it that breaks off is opened again at its next byte, as often as
    /// this policy allows, as is one that cannot be opened. Retries of its own do not add to that.
    #[must_use]
    pub fn reading(&self, blob: &Blob) -> Blob {
        let (inner, retry) = (blob.single_tries(), *self);
        blob.retried_by(move |offset| {
            let blob = inner.clone();
            async move {
                let stream = retry.run(|| blob.open(offset)).await?;
                let patience = Patience {
                    blob,
                    retry,
                    reached: offset,
                    breaks: 0,
                    fruitless: 0,
                };
                Ok(resumed(stream, offset, patience))
            }
            .boxed()
        })
    }
}

/// Goes on as often as a policy allows.
struct Patience {
    blob: Blob,
    retry: RetryPolicy,
    /// Where the last interruption was.
    reached: u64,
    /// How often it was interrupted.
    breaks: u32,
    /// How often in a row it was interrupted without a byte.
    fruitless: u32,
}

impl Resume for Patience {
    async fn resume(&mut self, at: u64, error: Error) -> Result<ByteStream> {
        if at > self.reached {
            self.fruitless = 0;
        }
        self.reached = at;
        self.breaks += 1;
        self.fruitless += 1;
        let most = self.retry.tries.saturating_mul(PROGRESS_FACTOR);
        if self.fruitless >= self.retry.tries || self.breaks >= most {
            return Err(error);
        }
        // The policy decides whether, and after which wait, this error is followed by a try.
        let (mut broken, blob) = (Some(error), &self.blob);
        let reopen = || {
            let broken = broken.take();
            async move {
                match broken {
                    Some(error) => Err(error),
                    None => blob.open(at).await,
                }
            }
        };
        self.retry.run(reopen).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use bytes::Bytes;
    use futures::{StreamExt, stream};
    use wharf_oci::{Descriptor, Digest, MediaType};

    use super::*;
    use crate::ErrorKind;

    fn policy(tries: u32) -> RetryPolicy {
        RetryPolicy {
            tries,
            base: Duration::ZERO,
            ..RetryPolicy::default()
        }
    }

    /// A blob with streams of one byte each that then fail with `kind`.
    fn breaking(content: &'static [u8], kind: ErrorKind, opened: Arc<AtomicU32>) -> Blob {
        let digest = Digest::of(content);
        let descriptor = Descriptor::new(MediaType::OCTET_STREAM, digest, content.len() as u64);
        Blob::new(descriptor, move |offset| {
            opened.fetch_add(1, Ordering::SeqCst);
            let rest = &content[offset as usize..];
            let first = Ok(Bytes::from_static(rest.get(..1).unwrap_or_default()));
            let end = (rest.len() > 1)
                .then(|| Err(Error::new(kind, "cut").transient(kind.is_transient())));
            let chunks = stream::iter([Some(first), end].into_iter().flatten());
            async move { Ok(chunks.boxed()) }.boxed()
        })
    }

    #[tokio::test]
    async fn an_interrupted_read_continues_at_its_next_byte() {
        let opened = Arc::new(AtomicU32::new(0));
        let blob = breaking(b"hello", ErrorKind::Interrupted, Arc::clone(&opened));
        let read = policy(2).reading(&blob).read_all(9).await.unwrap();
        assert_eq!(read, "hello");
        assert_eq!(opened.load(Ordering::SeqCst), 5);
    }

    #[tokio::test]
    async fn fault_l6_retries_of_a_blob_do_not_multiply() {
        let opened = Arc::new(AtomicU32::new(0));
        let of = Arc::clone(&opened);
        let digest = Digest::of(b"hello");
        let gone = Blob::new(
            Descriptor::new(MediaType::OCTET_STREAM, digest, 5),
            move |_| {
                of.fetch_add(1, Ordering::SeqCst);
                async { Err(Error::new(ErrorKind::Server, "500")) }.boxed()
            },
        );
        let twice = policy(2).reading(&gone).mapped(|_, stream| stream);
        for (blob, tries) in [
            (policy(3).reading(&twice), 3),
            (twice.clone(), 2),
            (twice.single_tries(), 1),
        ] {
            opened.store(0, Ordering::SeqCst);
            blob.read_all(9).await.unwrap_err();
            assert_eq!(opened.load(Ordering::SeqCst), tries);
        }
    }

    #[tokio::test]
    async fn an_error_that_lasts_ends_the_read() {
        let opened = Arc::new(AtomicU32::new(0));
        let blob = breaking(b"hello", ErrorKind::Denied, Arc::clone(&opened));
        let error = policy(5).reading(&blob).read_all(9).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert_eq!(opened.load(Ordering::SeqCst), 1);
    }
}
