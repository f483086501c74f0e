//! Bytes that come only once, the first of which can be sent once more.
//!
//! A request may be refused when its body has just begun to move. As long as that was little, it
//! is kept; memory is bounded by [`KEPT`] and one chunk.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::{StreamExt, stream};

use wharf_core::blob::ByteStream;
use wharf_core::sync::Lock;
use wharf_core::{Error, ErrorKind, Result};

/// Bytes that are kept.
const KEPT: usize = 1 << 20;

/// A stream of which the beginning is kept. Clones are the same stream.
#[derive(Clone)]
pub(super) struct Replay(Arc<Lock<State>>);

struct State {
    /// What was given out; `None` when it was too much, or the stream failed.
    kept: Option<Vec<Bytes>>,
    size: usize,
    rest: ByteStream,
    ended: bool,
    /// Who may read: the last one that was made.
    reader: u32,
}

impl Replay {
    /// The same stream, and what it takes to have it again.
    pub(super) fn new(stream: ByteStream) -> (Self, ByteStream) {
        let replay = Replay(Arc::new(Lock::new(State {
            kept: Some(Vec::new()),
            size: 0,
            rest: stream,
            ended: false,
            reader: 0,
        })));
        let first = replay.reader(0);
        (replay, first)
    }

    /// All bytes from the first on. Whoever read before reads no more.
    ///
    /// # Errors
    /// Where too many of them are gone; whoever made them may be able to make them again.
    pub(super) fn stream(&self) -> Result<ByteStream> {
        let mut state = self.0.lock();
        if state.kept.is_none() {
            return Err(gone());
        }
        state.reader += 1;
        Ok(self.reader(state.reader))
    }

    fn reader(&self, reader: u32) -> ByteStream {
        let (owned, mut next) = (self.clone(), 0);
        stream::poll_fn(move |context| {
            let mut state = owned.0.lock();
            if state.reader != reader {
                return Poll::Ready(Some(Err(gone())));
            }
            state.poll(&mut next, context)
        })
        .boxed()
    }
}

impl State {
    fn poll(&mut self, next: &mut usize, context: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let again = self.kept.as_ref().and_then(|kept| kept.get(*next));
        if let Some(chunk) = again {
            *next += 1;
            return Poll::Ready(Some(Ok(chunk.clone())));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        let polled = self.rest.poll_next_unpin(context);
        match &polled {
            Poll::Ready(Some(Ok(chunk))) => {
                *next += 1;
                self.keep(chunk);
            }
            Poll::Ready(Some(Err(_))) => self.kept = None,
            Poll::Ready(None) => self.ended = true,
            Poll::Pending => {}
        }
        polled
    }

    /// The first chunk is kept whatever its size: it is there anyway.
    fn keep(&mut self, chunk: &Bytes) {
        self.size = self.size.saturating_add(chunk.len());
        match &mut self.kept {
            Some(kept) if kept.is_empty() || self.size <= KEPT => kept.push(chunk.clone()),
            kept => *kept = None,
        }
    }
}

fn gone() -> Error {
    let message = "the registry wants the request once more, and its bytes come only once";
    Error::new(ErrorKind::Unsupported, message).transient(true)
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    fn replay(chunks: &[usize]) -> (Replay, ByteStream) {
        let chunks: Vec<_> = chunks
            .iter()
            .map(|size| Ok(vec![7; *size].into()))
            .collect();
        Replay::new(stream::iter(chunks).boxed())
    }

    async fn length(replay: &Replay) -> Result<usize> {
        let chunks: Vec<Bytes> = replay.stream()?.try_collect().await?;
        Ok(chunks.iter().map(Bytes::len).sum())
    }

    #[tokio::test]
    async fn a2_a_small_stream_can_be_had_again_and_a_large_one_not() {
        let (small, _) = replay(&[1000, KEPT - 1000]);
        for _ in 0..3 {
            assert_eq!(length(&small).await.unwrap(), KEPT);
        }
        let (one, _) = replay(&[KEPT * 2]);
        for _ in 0..2 {
            assert_eq!(length(&one).await.unwrap(), KEPT * 2);
        }
        let (large, _) = replay(&[KEPT, 1]);
        assert_eq!(length(&large).await.unwrap(), KEPT + 1);
        assert!(length(&large).await.unwrap_err().is_transient());
    }

    #[tokio::test]
    async fn a2_who_read_before_takes_nothing_from_who_reads_now() {
        let (replay, mut old) = replay(&[1, 2, 3]);
        assert_eq!(old.next().await.unwrap().unwrap().len(), 1);
        let new = replay.stream().unwrap();
        assert!(old.next().await.unwrap().is_err());
        let chunks: Vec<Bytes> = new.try_collect().await.unwrap();
        assert_eq!(chunks.concat().len(), 6);
    }
}
