//! A stream that keeps its last bytes for a second reader and learns its digest (wire.md U5, A2, S3).
//!
//! This is the only keeper of bytes on their way. It copies them, so that memory is bounded
//! whatever the chunks are like.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::{StreamExt, stream};
use tokio::sync::oneshot;
use wharf_oci::{Algorithm, Digest};

use crate::blob::ByteStream;
use crate::sync::Lock;
use crate::{Error, ErrorKind, Result, Side, verify};

/// Bytes kept of a stream that comes once: more than the buffers of a connection hold.
pub(crate) const OF_ONE_SHOT: usize = 16 << 20;

/// Bytes kept of a stream that can be made again: a request refused at once needs no second making.
pub(crate) const OF_REPEATABLE: usize = 256 << 10;

/// Bytes of a chunk that is given again.
const CHUNK: usize = 1 << 20;

/// A stream and its last bytes. Clones are the same stream; the reader that opened it last takes
/// it from the reader before.
#[derive(Clone)]
pub(crate) struct Rewind(Arc<Lock<State>>);

struct State {
    /// The most bytes kept.
    keep: usize,
    kept: VecDeque<u8>,
    /// The position behind the last byte given.
    given: u64,
    rest: ByteStream,
    over: Over,
    /// The number of the reader that opened it last.
    reader: u64,
    learning: Learning,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Over {
    No,
    Ended,
    Failed,
}

enum Learning {
    Reading(oneshot::Receiver<(Digest, u64)>),
    Read(Digest, u64),
}

impl Rewind {
    /// Keeps the last `keep` bytes of `stream`.
    pub(crate) fn new(stream: ByteStream, keep: usize) -> Self {
        Rewind::behind(0, stream, keep)
    }

    /// As [`Rewind::new`], but gives none of the first `offset` bytes: they are only hashed.
    pub(crate) fn behind(offset: u64, stream: ByteStream, keep: usize) -> Self {
        let (sender, receiver) = oneshot::channel();
        let learned = verify::learn(stream, Algorithm::Sha256, sender);
        Rewind(Arc::new(Lock::new(State {
            keep,
            kept: VecDeque::new(),
            given: offset,
            rest: skipped(learned, offset),
            over: Over::No,
            reader: 0,
            learning: Learning::Reading(receiver),
        })))
    }

    /// The bytes from `offset` on.
    ///
    /// # Errors
    /// [`ErrorKind::Interrupted`], not transient, where the bytes at `offset` are gone.
    pub(crate) fn open(&self, offset: u64) -> Result<ByteStream> {
        let mut state = self.0.lock();
        if !state.has(offset) {
            return Err(gone(offset, state.begin(), state.given));
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

    /// Whether the stream goes on and the bytes at `offset` are not gone.
    pub(crate) fn reaches(&self, offset: u64) -> bool {
        let state = self.0.lock();
        state.over != Over::Failed && state.has(offset)
    }

    /// Drops the stream and what was kept of it. What was learned stays.
    pub(crate) fn end(&self) {
        let mut state = self.0.lock();
        let _ = state.learned();
        state.rest = stream::empty().boxed();
        state.kept = VecDeque::new();
        state.over = Over::Failed;
    }

    /// Digest and size of all bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Rejected`] where the stream was not read to its end.
    pub(crate) fn learned(&self) -> Result<(Digest, u64)> {
        self.0.lock().learned()
    }
}

impl State {
    /// The position of the first byte that is kept.
    fn begin(&self) -> u64 {
        self.given - self.kept.len() as u64
    }

    fn has(&self, offset: u64) -> bool {
        (self.begin()..=self.given).contains(&offset)
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

    /// Some of what is kept, from `position` on.
    fn again(&self, position: u64) -> Bytes {
        // Within what is kept, so it fits.
        let start = usize::try_from(position.saturating_sub(self.begin())).unwrap_or(usize::MAX);
        let (front, back) = self.kept.as_slices();
        let found = match front.get(start..) {
            Some(found) if !found.is_empty() => found,
            _ => back.get(start - front.len()..).unwrap_or_default(),
        };
        Bytes::copy_from_slice(found.get(..CHUNK).unwrap_or(found))
    }

    fn keep(&mut self, chunk: &[u8]) {
        self.given += chunk.len() as u64;
        let last = chunk.get(chunk.len().saturating_sub(self.keep)..);
        let last = last.unwrap_or_default();
        let over = (self.kept.len() + last.len()).saturating_sub(self.keep);
        self.kept.drain(..over);
        self.kept.extend(last);
    }

    fn learned(&mut self) -> Result<(Digest, u64)> {
        if let Learning::Reading(receiver) = &mut self.learning
            && let Ok((digest, size)) = receiver.try_recv()
        {
            self.learning = Learning::Read(digest, size);
        }
        match &self.learning {
            Learning::Read(digest, size) => Ok((digest.clone(), *size)),
            Learning::Reading(_) => Err(unread()),
        }
    }
}

/// `stream` without its first `offset` bytes.
pub(crate) fn skipped(stream: ByteStream, offset: u64) -> ByteStream {
    if offset == 0 {
        return stream;
    }
    stream::try_unfold((stream, offset), move |(mut stream, mut left)| async move {
        while let Some(mut chunk) = stream.next().await.transpose()? {
            let dropped = left.min(chunk.len() as u64);
            left -= dropped;
            // Not more than the chunk's length, so it fits.
            let rest = chunk.split_off(usize::try_from(dropped).unwrap_or(chunk.len()));
            if !rest.is_empty() {
                return Ok(Some((rest, (stream, left))));
            }
        }
        if left == 0 {
            return Ok(None);
        }
        let message = format!("the session has {offset} bytes, more than the content");
        Err(Error::new(ErrorKind::Rejected, message).side(Side::Destination))
    })
    .boxed()
}

fn gone(offset: u64, begin: u64, given: u64) -> Error {
    let message = format!(
        "the registry kept {offset} of {given} bytes, and those before byte {begin} are gone: they \
         can be read only once"
    );
    Error::new(ErrorKind::Interrupted, message).transient(false)
}

/// The error of a stream that another reader has, or that ended too early.
pub(crate) fn taken() -> Error {
    let message = "the stream was already read and cannot be read again";
    Error::new(ErrorKind::Unsupported, message)
}

/// The error of an answer that arrived before the body was read to its end.
pub(crate) fn unread() -> Error {
    let message = "the registry answered before it had the whole request";
    Error::new(ErrorKind::Rejected, message)
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    fn rewind(chunk: usize, count: usize) -> (Rewind, Vec<u8>) {
        let all: Vec<u8> = (0..chunk * count).map(|i| (i % 251) as u8).collect();
        let chunks: Vec<_> = all
            .chunks(chunk)
            .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
            .collect();
        (Rewind::new(stream::iter(chunks).boxed(), OF_ONE_SHOT), all)
    }

    #[tokio::test]
    async fn u5_the_last_bytes_can_be_had_again_and_the_rest_follows() {
        let (rewind, all) = rewind(3 << 20, 10);
        let mut first = rewind.open(0).unwrap();
        for _ in 0..7 {
            first.next().await.unwrap().unwrap();
        }
        let (given, kept) = (21 << 20, OF_ONE_SHOT as u64);
        for offset in [given - kept, given - 1, given, given - 5_000_001] {
            assert!(rewind.open(offset).is_ok());
        }
        let error = rewind.open(given - kept - 1).err().unwrap();
        assert!(!error.is_transient() && rewind.open(given + 1).is_err());
        assert!(error.to_string().contains("read only once"), "{error}");
        let again = rewind.open(given - 5_000_001).unwrap();
        // The reader before gets nothing more.
        assert!(first.next().await.unwrap().is_err());
        let again: Vec<Bytes> = again.try_collect().await.unwrap();
        let start = usize::try_from(given).unwrap() - 5_000_001;
        assert!(again.concat() == all[start..]);
        let end: Vec<Bytes> = rewind.open(30 << 20).unwrap().try_collect().await.unwrap();
        assert!(end.is_empty());
    }

    #[tokio::test]
    async fn u5_no_more_is_kept_than_is_allowed_whatever_the_chunks() {
        for (chunk, count) in [(OF_ONE_SHOT + 7, 2), (1000, 20_000)] {
            let (rewind, _) = rewind(chunk, count);
            let stream = rewind.open(0).unwrap();
            stream
                .try_for_each(|_| std::future::ready(Ok(())))
                .await
                .unwrap();
            let state = rewind.0.lock();
            assert_eq!(state.kept.len(), OF_ONE_SHOT);
            assert!(state.kept.capacity() <= 2 * OF_ONE_SHOT);
        }
    }

    fn stream_of(chunks: &[&'static str]) -> ByteStream {
        let chunks: Vec<_> = chunks
            .iter()
            .map(|chunk| Ok(Bytes::from_static(chunk.as_bytes())))
            .collect();
        stream::iter(chunks).boxed()
    }

    async fn read(stream: ByteStream) -> Result<Vec<u8>> {
        let chunks: Vec<Bytes> = stream.try_collect().await?;
        Ok(chunks.concat())
    }

    #[tokio::test]
    async fn a2_a_stream_starts_again_as_long_as_nothing_of_it_is_gone() {
        let short = Rewind::new(stream_of(&["abc", "de"]), 5);
        for _ in 0..3 {
            let stream = short.open(0).unwrap();
            assert_eq!(read(stream).await.unwrap(), b"abcde");
        }
        let long = Rewind::new(stream_of(&["abc", "def"]), 5);
        let stream = long.open(0).unwrap();
        assert_eq!(read(stream).await.unwrap(), b"abcdef");
        assert!(long.open(0).is_err() && long.open(1).is_ok());
    }

    #[tokio::test]
    async fn u5_what_a_store_has_is_read_and_not_given() {
        for (offset, expected) in [(0, "abcde"), (1, "bcde"), (2, "cde"), (4, "e"), (5, "")] {
            let rewind = Rewind::behind(offset, stream_of(&["ab", "", "cde"]), 3);
            let stream = rewind.open(offset).unwrap();
            assert_eq!(read(stream).await.unwrap(), expected.as_bytes());
            assert_eq!(rewind.learned().unwrap(), (Digest::of(b"abcde"), 5));
        }
    }

    #[tokio::test]
    async fn u5_a_store_that_says_it_has_more_than_there_is_is_wrong() {
        let rewind = Rewind::behind(4, stream_of(&["abc"]), 3);
        let error = read(rewind.open(4).unwrap()).await.unwrap_err();
        assert_eq!(error.failed_side(), Some(Side::Destination));
        assert!(!error.is_transient());
    }

    #[tokio::test]
    async fn s3_nothing_is_learned_before_the_end() {
        let rewind = Rewind::new(stream_of(&["ab", "c"]), 3);
        let mut stream = rewind.open(0).unwrap();
        stream.next().await.unwrap().unwrap();
        assert!(rewind.learned().is_err());
        assert_eq!(read(rewind.open(1).unwrap()).await.unwrap(), b"bc");
        assert_eq!(rewind.learned().unwrap(), (Digest::of(b"abc"), 3));
    }

    #[tokio::test]
    async fn s3_what_ended_is_still_known_and_cannot_be_read() {
        let rewind = Rewind::new(stream_of(&["ab", "c"]), 3);
        assert_eq!(read(rewind.open(0).unwrap()).await.unwrap(), b"abc");
        assert!(rewind.reaches(0) && rewind.reaches(3) && !rewind.reaches(4));
        rewind.end();
        assert_eq!(rewind.learned().unwrap(), (Digest::of(b"abc"), 3));
        assert!(!rewind.reaches(0) && !rewind.reaches(3));
    }
}
