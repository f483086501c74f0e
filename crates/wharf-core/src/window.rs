//! Bytes that come only once, the last of which can be had once more (wire.md U5).
//!
//! Memory is bounded by [`KEPT`] whatever the chunks are like: they are copied.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::{StreamExt, stream};

use crate::blob::ByteStream;
use crate::sync::Lock;
use crate::{Error, ErrorKind, Result};

/// Bytes that are kept: more than is on its way in the buffers of a connection.
const KEPT: usize = 16 << 20;

/// Bytes of a chunk that is given once more.
const CHUNK: usize = 1 << 20;

/// A stream, and the last that was given of it. Who opens it again takes it from who did before.
#[derive(Clone)]
pub(crate) struct Window(Arc<Lock<State>>);

struct State {
    kept: VecDeque<u8>,
    /// How many bytes were given, of which the last ones are kept.
    given: u64,
    rest: ByteStream,
    over: Over,
    /// Who may read: the one that opened it last.
    reader: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Over {
    No,
    Ended,
    Failed,
}

impl Window {
    pub(crate) fn new(stream: ByteStream) -> Self {
        Window(Arc::new(Lock::new(State {
            kept: VecDeque::new(),
            given: 0,
            rest: stream,
            over: Over::No,
            reader: 0,
        })))
    }

    /// The bytes from `offset` on.
    ///
    /// # Errors
    /// [`ErrorKind::Interrupted`], and no reason to try again, where those at `offset` are gone.
    pub(crate) fn open(&self, offset: u64) -> Result<ByteStream> {
        let mut state = self.0.lock();
        let begin = state.begin();
        if !(begin..=state.given).contains(&offset) {
            return Err(gone(offset, begin, state.given));
        }
        state.reader += 1;
        let (owned, reader, mut position) = (self.clone(), state.reader, offset);
        let stream = stream::poll_fn(move |context| {
            let mut state = owned.0.lock();
            if state.reader != reader {
                return Poll::Ready(Some(Err(taken())));
            }
            let polled = state.poll(position, context);
            if let Poll::Ready(Some(Ok(chunk))) = &polled {
                position += chunk.len() as u64;
            }
            polled
        });
        Ok(stream.boxed())
    }
}

impl State {
    /// The position of the first byte that is kept.
    fn begin(&self) -> u64 {
        self.given - self.kept.len() as u64
    }

    fn poll(&mut self, position: u64, context: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        if position < self.given {
            return Poll::Ready(Some(Ok(self.again(position))));
        }
        match self.over {
            Over::No => {}
            Over::Ended => return Poll::Ready(None),
            Over::Failed => return Poll::Ready(Some(Err(taken()))),
        }
        let polled = self.rest.poll_next_unpin(context);
        match &polled {
            Poll::Ready(Some(Ok(chunk))) => self.keep(chunk),
            Poll::Ready(Some(Err(_))) => self.over = Over::Failed,
            Poll::Ready(None) => self.over = Over::Ended,
            Poll::Pending => {}
        }
        polled
    }

    /// Some of what is kept.
    fn again(&self, position: u64) -> Bytes {
        // Within what is kept, so it fits.
        let start = usize::try_from(position.saturating_sub(self.begin())).unwrap_or(usize::MAX);
        let range = start.min(self.kept.len())..start.saturating_add(CHUNK).min(self.kept.len());
        self.kept.range(range).copied().collect::<Vec<u8>>().into()
    }

    fn keep(&mut self, chunk: &[u8]) {
        self.given += chunk.len() as u64;
        let last = chunk.get(chunk.len().saturating_sub(KEPT)..);
        let last = last.unwrap_or_default();
        let over = (self.kept.len() + last.len()).saturating_sub(KEPT);
        self.kept.drain(..over);
        self.kept.extend(last);
    }
}

fn gone(offset: u64, begin: u64, given: u64) -> Error {
    let message = format!(
        "the registry kept {offset} of {given} bytes, and those before byte {begin} are gone: they \
         can be read only once"
    );
    Error::new(ErrorKind::Interrupted, message).transient(false)
}

fn taken() -> Error {
    let message = "can be read only once, and was";
    Error::new(ErrorKind::Unsupported, message)
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    fn window(chunk: usize, count: usize) -> (Window, Vec<u8>) {
        let all: Vec<u8> = (0..chunk * count).map(|i| (i % 251) as u8).collect();
        let chunks: Vec<_> = all
            .chunks(chunk)
            .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
            .collect();
        (Window::new(stream::iter(chunks).boxed()), all)
    }

    #[tokio::test]
    async fn u5_the_last_bytes_can_be_had_again_and_the_rest_follows() {
        let (window, all) = window(3 << 20, 10);
        let mut first = window.open(0).unwrap();
        for _ in 0..7 {
            first.next().await.unwrap().unwrap();
        }
        let (given, kept) = (21 << 20, KEPT as u64);
        for offset in [given - kept, given - 1, given, given - 5_000_001] {
            assert!(window.open(offset).is_ok());
        }
        let error = window.open(given - kept - 1).err().unwrap();
        assert!(!error.is_transient() && window.open(given + 1).is_err());
        assert!(error.to_string().contains("read only once"), "{error}");
        let again = window.open(given - 5_000_001).unwrap();
        // Who read before takes nothing from who reads now.
        assert!(first.next().await.unwrap().is_err());
        let again: Vec<Bytes> = again.try_collect().await.unwrap();
        let start = usize::try_from(given).unwrap() - 5_000_001;
        assert!(again.concat() == all[start..]);
        let end: Vec<Bytes> = window.open(30 << 20).unwrap().try_collect().await.unwrap();
        assert!(end.is_empty());
    }

    #[tokio::test]
    async fn u5_no_more_is_kept_than_is_allowed_whatever_the_chunks() {
        for (chunk, count) in [(KEPT + 7, 2), (1000, 20_000)] {
            let (window, _) = window(chunk, count);
            let stream = window.open(0).unwrap();
            stream
                .try_for_each(|_| std::future::ready(Ok(())))
                .await
                .unwrap();
            let state = window.0.lock();
            assert_eq!(state.kept.len(), KEPT);
            assert!(state.kept.capacity() <= 2 * KEPT);
        }
    }
}
