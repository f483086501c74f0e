//! A stream that can be started again as long as no more than its first chunk was taken.
//!
//! Stores wait for the first bytes before they ask a registry for anything (PUSH.md U9). When
//! the asking fails, bytes that come only once must not be lost (PUSH.md S3).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures::{StreamExt, stream};
use tokio::sync::Mutex;

use crate::blob::ByteStream;

/// What is left of a stream, and its first chunk.
pub(super) struct Head {
    inner: Arc<Mutex<Inner>>,
    passed: Arc<AtomicBool>,
}

struct Inner {
    first: Option<Bytes>,
    rest: ByteStream,
}

impl Head {
    pub(super) fn new(stream: ByteStream) -> Self {
        Head {
            inner: Arc::new(Mutex::new(Inner {
                first: None,
                rest: stream,
            })),
            passed: Arc::default(),
        }
    }

    /// Whether [`Head::stream`] gives everything once more.
    pub(super) fn is_whole(&self) -> bool {
        !self.passed.load(Ordering::Acquire)
    }

    /// The bytes from the first on.
    pub(super) fn stream(&self) -> ByteStream {
        let state = (Arc::clone(&self.inner), Arc::clone(&self.passed), true);
        stream::unfold(state, |(inner, passed, beginning)| async move {
            let mut held = inner.lock().await;
            let next = match held.first.clone().filter(|_| beginning) {
                Some(first) => Some(Ok(first)),
                None => {
                    if !beginning {
                        passed.store(true, Ordering::Release);
                        held.first = None;
                    }
                    let next = held.rest.next().await;
                    match &next {
                        Some(Ok(chunk)) if beginning => held.first = Some(chunk.clone()),
                        // An end or an error does not come twice.
                        Some(Err(_)) | None => passed.store(true, Ordering::Release),
                        Some(Ok(_)) => {}
                    }
                    next
                }
            };
            drop(held);
            next.map(|next| (next, (inner, passed, false)))
        })
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    fn head() -> Head {
        let chunks = ["a", "b", "c"].map(|text| Ok(Bytes::from_static(text.as_bytes())));
        Head::new(stream::iter(chunks).boxed())
    }

    #[tokio::test]
    async fn s3_the_first_chunk_can_be_had_again_until_the_second_is_asked_for() {
        let head = head();
        for _ in 0..3 {
            assert_eq!(head.stream().next().await.unwrap().unwrap(), "a");
            assert!(head.is_whole());
        }
        let all: Vec<Bytes> = head.stream().try_collect().await.unwrap();
        assert_eq!(all.concat(), b"abc");
        assert!(!head.is_whole());
    }

    #[tokio::test]
    async fn an_end_is_not_taken_for_a_beginning() {
        let head = Head::new(stream::empty().boxed());
        assert!(head.stream().next().await.is_none());
        assert!(!head.is_whole());
    }
}
