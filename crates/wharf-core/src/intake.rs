//! Content that has no digest before it was read once, and can be had again from where a store is.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use tokio::sync::oneshot;
use wharf_oci::{Algorithm, Digest};

use crate::blob::ByteStream;
use crate::sync::Lock;
use crate::window::Window;
use crate::{Error, ErrorKind, Result, Side, verify};

/// Content whose digest is learned while it is read, and that a store may ask for again from the
/// byte where an upload broke off.
#[async_trait]
pub trait Intake: Send + Sync {
    /// Names this content among all that this process moves.
    fn key(&self) -> &Digest;

    /// Names its bytes exactly and for all processes, before they are made; `None` where nothing
    /// does, or where going on in another process is not worth it.
    fn identity(&self) -> Option<&Digest>;

    /// The bytes from `offset` on. Those before count for what is learned all the same.
    ///
    /// # Errors
    /// What the source says; where the bytes come only once, that those at `offset` are gone. In
    /// the stream, [`ErrorKind::Rejected`] where it ends before `offset`.
    async fn open(&self, offset: u64) -> Result<ByteStream>;

    /// Digest and size of all bytes, once the stream that was opened last was read to its end.
    ///
    /// # Errors
    /// [`ErrorKind::Rejected`] where it was not.
    fn learned(&self) -> Result<(Digest, u64)>;
}

/// A key for content in the making.
pub(crate) fn new_key() -> Digest {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let serial = NEXT.fetch_add(1, Ordering::Relaxed);
    Digest::of(format!("content {serial} in the making").as_bytes())
}

/// What is learned from the reading that began last.
#[derive(Debug, Default)]
pub(crate) struct Learning(Lock<State>);

#[derive(Debug, Default)]
enum State {
    #[default]
    Unread,
    Reading(oneshot::Receiver<(Digest, u64)>),
    Read(Digest, u64),
}

impl Learning {
    /// The same bytes, from which is learned from now on.
    pub(crate) fn reading(&self, stream: ByteStream) -> ByteStream {
        let (sender, receiver) = oneshot::channel();
        *self.0.lock() = State::Reading(receiver);
        verify::learn(stream, Algorithm::Sha256, sender)
    }

    /// As [`Intake::learned`].
    pub(crate) fn learned(&self) -> Result<(Digest, u64)> {
        let mut state = self.0.lock();
        if let State::Reading(receiver) = &mut *state
            && let Ok((digest, size)) = receiver.try_recv()
        {
            *state = State::Read(digest, size);
        }
        match &*state {
            State::Read(digest, size) => Ok((digest.clone(), *size)),
            State::Unread | State::Reading(_) => Err(unread()),
        }
    }
}

/// The error of a body that was answered before it was read to its end.
fn unread() -> Error {
    let message = "the registry answered before it had everything";
    Error::new(ErrorKind::Rejected, message)
}

/// `stream` without its first `offset` bytes.
pub(crate) fn skipped(stream: ByteStream, offset: u64) -> ByteStream {
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
        let message = format!("the session has {offset} bytes, more than there are");
        Err(Error::new(ErrorKind::Rejected, message).side(Side::Destination))
    })
    .boxed()
}

/// A stream that comes once, the last bytes of which are kept.
pub struct OneShot {
    key: Digest,
    learning: Learning,
    window: Window,
}

impl OneShot {
    /// Reads `stream`, and keeps its last bytes.
    pub fn new(stream: ByteStream) -> Self {
        let learning = Learning::default();
        let window = Window::new(learning.reading(stream));
        OneShot {
            key: new_key(),
            learning,
            window,
        }
    }
}

impl std::fmt::Debug for OneShot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OneShot")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Intake for OneShot {
    fn key(&self) -> &Digest {
        &self.key
    }

    fn identity(&self) -> Option<&Digest> {
        None
    }

    async fn open(&self, offset: u64) -> Result<ByteStream> {
        self.window.open(offset)
    }

    fn learned(&self) -> Result<(Digest, u64)> {
        self.learning.learned()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::TryStreamExt;

    use super::*;

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
    async fn u5_what_a_store_has_is_read_and_not_given() {
        for (offset, expected) in [(0, "abcde"), (1, "bcde"), (2, "cde"), (4, "e"), (5, "")] {
            let learning = Learning::default();
            let stream = skipped(learning.reading(stream_of(&["ab", "", "cde"])), offset);
            assert_eq!(read(stream).await.unwrap(), expected.as_bytes());
            assert_eq!(learning.learned().unwrap(), (Digest::of(b"abcde"), 5));
        }
    }

    #[tokio::test]
    async fn u5_a_store_that_says_it_has_more_than_there_is_is_wrong() {
        let error = read(skipped(stream_of(&["abc"]), 4)).await.unwrap_err();
        assert_eq!(error.failed_side(), Some(Side::Destination));
        assert!(!error.is_transient());
    }

    #[tokio::test]
    async fn s3_nothing_is_learned_before_the_end() {
        let once = OneShot::new(stream_of(&["ab", "c"]));
        let mut stream = once.open(0).await.unwrap();
        stream.next().await.unwrap().unwrap();
        assert!(once.learned().is_err());
        assert_eq!(read(once.open(1).await.unwrap()).await.unwrap(), b"bc");
        assert_eq!(once.learned().unwrap(), (Digest::of(b"abc"), 3));
    }
}
