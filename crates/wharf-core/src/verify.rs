//! The only place where content is checked: bytes in, the same bytes out, or an error.
//!
//! The chunk that completes the content is held back until size and digest are known to be
//! right, so a reader of the stream never sees a wrong blob end as if it were whole.

use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use wharf_oci::{Algorithm, Descriptor, Digest, Hasher};

use crate::byte_stream::ByteStream;
use crate::sync::Lock;
use crate::{Error, ErrorKind, Result, Side};

/// Below this many bytes hashing takes some 20 µs: less than a trip to another thread.
const INLINE: usize = 32 * 1024;

/// Checks `stream` against the size and digest of `descriptor` as it flows.
pub fn checked(stream: ByteStream, descriptor: &Descriptor) -> ByteStream {
    continued(stream, descriptor, &Seen::default())
}

/// The bytes of some content that a check has passed on. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(Arc<Lock<Option<Hasher>>>);

impl Seen {
    /// How many they are.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.lock().as_ref().map_or(0, Hasher::length)
    }
}

/// As [`checked`], where `stream` begins behind the bytes of `seen`, which counts on while it flows:
/// what breaks off is checked from there with the next stream.
pub(crate) fn continued(stream: ByteStream, descriptor: &Descriptor, seen: &Seen) -> ByteStream {
    let hasher = seen.0.lock().clone();
    let hasher = hasher.unwrap_or_else(|| Hasher::new(descriptor.digest.algorithm()));
    let check = Check {
        stream,
        digest: descriptor.digest.clone(),
        size: descriptor.size,
        seen: hasher.length(),
        hasher,
        note: seen.clone(),
    };
    stream::try_unfold(Some(check), |check| async {
        let Some(check) = check else { return Ok(None) };
        check.step().await
    })
    .boxed()
}

/// Checks that `stream` has exactly `size` bytes, the last ones of the content named `digest`.
/// The reader that has the first bytes too checks the digest.
pub fn sized(stream: ByteStream, size: u64, digest: &Digest) -> ByteStream {
    let state = (stream, size, digest.clone());
    stream::try_unfold(state, |(mut stream, left, digest)| async move {
        let wrong = |what: &str| Error::new(ErrorKind::Corrupt, what).target(&digest);
        match stream.next().await.transpose()? {
            None if left > 0 => Err(wrong("content ends before its size")),
            None => Ok(None),
            Some(chunk) => match left.checked_sub(chunk.len() as u64) {
                Some(left) => Ok(Some((chunk, (stream, left, digest)))),
                None => Err(wrong("content is longer than its size")),
            },
        }
    })
    .boxed()
}

/// Checks `stream` against `digest` as it flows, where its size is not known: its last chunk is held
/// back until the digest is right.
pub fn named(stream: ByteStream, digest: &Digest) -> ByteStream {
    let hasher = Hasher::new(digest.algorithm());
    let state = Some((stream, hasher, Bytes::new(), digest.clone()));
    stream::try_unfold(state, |state| async move {
        let Some((mut stream, mut hasher, held, digest)) = state else {
            return Ok(None);
        };
        while let Some(chunk) = stream.next().await.transpose()? {
            if chunk.is_empty() {
                continue;
            }
            let updated = update(hasher, chunk).await?;
            hasher = updated.0;
            return Ok(Some((held, Some((stream, hasher, updated.1, digest)))));
        }
        let actual = hasher.finish();
        match actual == digest {
            true => Ok(Some((held, None))),
            false => Err(Error::digest_mismatch(&digest, &actual)),
        }
    })
    .try_filter(|chunk| std::future::ready(!chunk.is_empty()))
    .boxed()
}

/// What `check` makes of `stream`: what it finds wrong with the bytes is said of the source, which
/// is called `name`; what the stream itself says names it already.
#[doc(hidden)]
pub fn blaming(
    name: &Arc<str>,
    stream: ByteStream,
    check: impl FnOnce(ByteStream) -> ByteStream,
) -> ByteStream {
    let stream = stream.map_err(|error| error.side(Side::Source)).boxed();
    let name = Arc::clone(name);
    let blame = move |error: Error| match error.failed_side() {
        None if !name.is_empty() => error.target(&name).side(Side::Source),
        _ => error.side(Side::Source),
    };
    check(stream).map_err(blame).boxed()
}

/// Hashes a chunk without ever blocking the reactor for long.
///
/// # Errors
/// [`ErrorKind::Cancelled`] where the runtime shuts down meanwhile.
pub async fn update(mut hasher: Hasher, chunk: Bytes) -> Result<(Hasher, Bytes)> {
    if chunk.len() <= INLINE {
        hasher.update(&chunk);
        return Ok((hasher, chunk));
    }
    blocking(move || {
        hasher.update(&chunk);
        (hasher, chunk)
    })
    .await
}

/// Runs CPU-heavy or blocking work off the reactor: the one helper for it.
///
/// # Errors
/// [`ErrorKind::Cancelled`] where the runtime shuts down meanwhile.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::new(ErrorKind::Cancelled, "the work was cancelled").source(error))
}

/// Passes `stream` on while learning its digest and size; `learned` has them once it ended.
pub fn learn(
    stream: impl Stream<Item = Result<Bytes>> + Send + Unpin + 'static,
    algorithm: Algorithm,
    learned: tokio::sync::oneshot::Sender<(Digest, u64)>,
) -> ByteStream {
    let state = (stream, Hasher::new(algorithm), 0u64, learned);
    stream::try_unfold(state, |(mut stream, hasher, seen, learned)| async move {
        let Some(chunk) = stream.next().await.transpose()? else {
            // A receiver that is gone no longer wants to know.
            let _ = learned.send((hasher.finish(), seen));
            return Ok(None);
        };
        let (hasher, chunk) = update(hasher, chunk).await?;
        let seen = seen + chunk.len() as u64;
        Ok(Some((chunk, (stream, hasher, seen, learned))))
    })
    .boxed()
}

struct Check {
    stream: ByteStream,
    hasher: Hasher,
    digest: Digest,
    size: u64,
    seen: u64,
    note: Seen,
}

impl Check {
    async fn step(mut self) -> Result<Option<(Bytes, Option<Check>)>> {
        loop {
            let Some(chunk) = self.stream.next().await.transpose()? else {
                return self.ended_early();
            };
            if chunk.is_empty() {
                continue;
            }
            self.seen += chunk.len() as u64;
            if self.seen > self.size {
                return Err(self.wrong_size("at least "));
            }
            let (hasher, chunk) = update(self.hasher, chunk).await?;
            self.hasher = hasher;
            if self.seen < self.size {
                *self.note.0.lock() = Some(self.hasher.clone());
                return Ok(Some((chunk, Some(self))));
            }
            let (note, whole) = (self.note.clone(), self.hasher.clone());
            self.finish().await?;
            *note.0.lock() = Some(whole);
            return Ok(Some((chunk, None)));
        }
    }

    /// No more bytes: right only for content of no bytes at all.
    fn ended_early(self) -> Result<Option<(Bytes, Option<Check>)>> {
        if self.seen != self.size {
            return Err(self.wrong_size(""));
        }
        compare(&self.digest, &self.hasher.finish())?;
        Ok(None)
    }

    /// All bytes are here: nothing may follow, and the digest must be right.
    async fn finish(mut self) -> Result<()> {
        while let Some(chunk) = self.stream.next().await.transpose()? {
            if !chunk.is_empty() {
                self.seen += chunk.len() as u64;
                return Err(self.wrong_size("at least "));
            }
        }
        compare(&self.digest, &self.hasher.finish())
    }

    fn wrong_size(&self, how: &str) -> Error {
        Error::new(
            ErrorKind::Corrupt,
            format!(
                "content has {how}{} bytes, expected {}",
                self.seen, self.size
            ),
        )
        .target(&self.digest)
    }
}

fn compare(expected: &Digest, actual: &Digest) -> Result<()> {
    if expected == actual {
        return Ok(());
    }
    Err(Error::digest_mismatch(expected, actual))
}

#[cfg(test)]
mod tests {
    use wharf_oci::MediaType;

    use super::*;

    async fn outcome(chunks: &[&'static str], promised: &str) -> (String, Option<Error>) {
        let descriptor = Descriptor::new(
            MediaType::OCTET_STREAM,
            Digest::of(promised.as_bytes()),
            promised.len() as u64,
        );
        let chunks: Vec<_> = chunks
            .iter()
            .map(|chunk| Ok(Bytes::from_static(chunk.as_bytes())))
            .collect();
        let mut stream = checked(stream::iter(chunks).boxed(), &descriptor);
        let mut seen = String::new();
        loop {
            match stream.next().await {
                Some(Ok(chunk)) => seen.push_str(std::str::from_utf8(&chunk).unwrap()),
                Some(Err(error)) => return (seen, Some(error)),
                None => return (seen, None),
            }
        }
    }

    #[tokio::test]
    async fn passes_right_bytes_on() {
        for chunks in [&["ab", "", "c"][..], &["abc"], &["a", "b", "c", ""]] {
            let (seen, error) = outcome(chunks, "abc").await;
            assert_eq!((seen.as_str(), error.is_none()), ("abc", true));
        }
        assert!(outcome(&[], "").await.1.is_none());
        assert!(outcome(&[""], "").await.1.is_none());
    }

    #[tokio::test]
    async fn holds_the_last_chunk_back_when_the_digest_is_wrong() {
        let (seen, error) = outcome(&["ab", "x"], "abc").await;
        assert_eq!(seen, "ab");
        assert_eq!(error.unwrap().kind(), ErrorKind::Corrupt);
    }

    #[tokio::test]
    async fn says_when_bytes_are_missing_or_too_many() {
        let (_, error) = outcome(&["ab"], "abc").await;
        assert!(error.unwrap().to_string().contains("2 bytes, expected 3"));
        let (seen, error) = outcome(&["abc", "d"], "abc").await;
        assert_eq!(seen, "");
        assert!(
            error
                .unwrap()
                .to_string()
                .contains("at least 4 bytes, expected 3")
        );
    }

    #[tokio::test]
    async fn without_a_size_the_last_chunk_waits_for_the_digest() {
        let read = async |chunks: &[&'static str], promised: &str| {
            let chunks = chunks
                .iter()
                .map(|chunk| Ok(Bytes::from_static(chunk.as_bytes())));
            let chunks: Vec<Result<Bytes>> = chunks.collect();
            let digest = Digest::of(promised.as_bytes());
            let stream = named(stream::iter(chunks).boxed(), &digest);
            stream.collect::<Vec<Result<Bytes>>>().await
        };
        for chunks in [&["ab", "", "c"][..], &["abc"], &["a", "b", "c", ""]] {
            let seen: Result<Vec<Bytes>> = read(chunks, "abc").await.into_iter().collect();
            assert_eq!(seen.unwrap().concat(), b"abc");
        }
        assert!(read(&[], "").await.is_empty());
        let seen = read(&["ab", "x"], "abc").await;
        assert_eq!(seen[0].as_ref().unwrap(), "ab");
        assert_eq!(seen[1].as_ref().unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(seen.len(), 2);
    }

    #[tokio::test]
    async fn a_rest_must_be_as_long_as_it_is_said_to_be() {
        let rest = |size| {
            let chunks =
                stream::iter(["ab", "c"].map(|text| Ok(Bytes::from_static(text.as_bytes()))));
            sized(chunks.boxed(), size, &Digest::of(b"")).try_collect::<Vec<Bytes>>()
        };
        assert_eq!(rest(3).await.unwrap().concat(), b"abc");
        for size in [2, 4] {
            assert_eq!(rest(size).await.unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }

    #[tokio::test]
    async fn learns_digest_and_size_of_what_passed() {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let chunks = stream::iter([Ok(Bytes::from_static(b"ab")), Ok(Bytes::from_static(b"c"))]);
        let all: Vec<Bytes> = learn(chunks, Algorithm::Sha256, sender)
            .try_collect()
            .await
            .unwrap();
        assert_eq!(all.concat(), b"abc");
        assert_eq!(receiver.await.unwrap(), (Digest::of(b"abc"), 3));
    }
}
