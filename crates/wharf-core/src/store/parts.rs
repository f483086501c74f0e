//! Large blobs into a file: several parts at once, each at its place, checked in order behind them.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, future, stream};
use tokio::sync::watch;

use crate::blob::{Blob, ByteStream};
use crate::file::{CHUNK, read_exactly_at, write_all_at};
use crate::sync::Lock;
use crate::verify::{Seen, blocking};
use crate::{Error, ErrorKind, Result, Side};

/// How a blob is divided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Division {
    /// The least bytes for which it is.
    pub(super) least: u64,
    /// The bytes of a part.
    pub(super) part: u64,
    /// The parts that are read at once.
    pub(super) at_once: usize,
}

/// A connection to a registry far away brings a few megabytes a second; a smaller blob is there
/// before further ones are at full speed.
pub(super) const USUAL: Division = Division {
    least: 128 << 20,
    part: 32 << 20,
    at_once: 4,
};

/// The least bytes between two breaks of a part. With fewer, the break is an error.
const LEAST: u64 = 1 << 20;

/// The wait before a part is continued.
const WAIT: Duration = Duration::from_millis(200);

/// The place of a blob in a file.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    pub(super) file: Arc<File>,
    /// The name of the file in messages.
    pub(super) name: Arc<str>,
    /// Where the blob begins.
    pub(super) start: u64,
}

/// Whether the blob was written, in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filled {
    Yes,
    /// It is small, or comes as a whole only.
    No,
}

/// Writes the bytes of a large blob behind those that were `seen`, if its source gives parts.
///
/// # Errors
/// As [`Blob::read`]; the system's error about the file.
pub(super) async fn fill(
    blob: &Blob,
    spot: &Spot,
    seen: &Seen,
    division: Division,
) -> Result<Filled> {
    let (from, size) = (seen.bytes(), blob.descriptor().size);
    if size < division.least || size - from <= division.part || !blob.has_parts() {
        return Ok(Filled::No);
    }
    let ends = |begin: u64| (begin, (begin + division.part).min(size));
    let mut parts = std::iter::successors(Some(ends(from)), |(_, end)| {
        (*end < size).then(|| ends(*end))
    });
    let Some((begin, end)) = parts.next() else {
        return Ok(Filled::No);
    };
    // The answer tells whether the source gives parts at all.
    let first = match blob.open_part(begin, end).await {
        Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(Filled::No),
        first => first?,
    };
    let done = Arc::new(Done::new(from));
    let mut fetches = vec![part(blob, spot, &done, (begin, end), Some(first))];
    for range in parts {
        fetches.push(part(blob, spot, &done, range, None));
    }
    let fetching = stream::iter(fetches)
        .buffer_unordered(division.at_once)
        .try_for_each(|()| future::ready(Ok(())));
    let checking = async {
        let behind = behind(spot.clone(), from, size, done.reached());
        let checked = blob.checked_on(behind, seen);
        checked.try_for_each(|_| future::ready(Ok(()))).await
    };
    future::try_join(fetching, checking).await?;
    Ok(Filled::Yes)
}

/// Writes one part at its place, and notes that it is there.
fn part(
    blob: &Blob,
    spot: &Spot,
    done: &Arc<Done>,
    (begin, end): (u64, u64),
    opened: Option<ByteStream>,
) -> BoxFuture<'static, Result<()>> {
    let (blob, spot, done) = (blob.clone(), spot.clone(), Arc::clone(done));
    let fetch = async move {
        fetch(&blob, &spot, (begin, end), opened).await?;
        done.add(begin, end);
        Ok(())
    };
    fetch.boxed()
}

/// Writes one part at its place. A stream that breaks off after some progress is continued.
async fn fetch(
    blob: &Blob,
    spot: &Spot,
    (begin, end): (u64, u64),
    opened: Option<ByteStream>,
) -> Result<()> {
    let mut stream = match opened {
        Some(stream) => stream,
        None => blob.open_part(begin, end).await?,
    };
    let (mut at, mut since) = (begin, begin);
    while at < end {
        let error = match stream.next().await {
            Some(Ok(chunk)) => {
                let left = usize::try_from(end - at).unwrap_or(usize::MAX);
                let chunk = chunk.slice(..chunk.len().min(left));
                let (length, place) = (chunk.len() as u64, spot.clone());
                blocking(move || place.write(at, &chunk)).await??;
                at += length;
                continue;
            }
            Some(Err(error)) => error,
            None => {
                let message = "the answer ends before the end of the range";
                Error::new(ErrorKind::Interrupted, message).side(Side::Source)
            }
        };
        if !error.is_transient() || at - since < LEAST {
            return Err(error.side(Side::Source));
        }
        tracing::debug!(%error, at, "a part broke off: reading on");
        tokio::time::sleep(WAIT).await;
        stream = blob.open_part(at, end).await?;
        since = at;
    }
    Ok(())
}

impl Spot {
    fn write(&self, at: u64, bytes: &[u8]) -> Result<()> {
        let written = write_all_at(&self.file, bytes, self.start + at);
        written.map_err(|error| Error::io(&self.name, error))
    }

    fn read(&self, at: u64, length: usize) -> Result<Bytes> {
        let read = read_exactly_at(&self.file, self.start + at, length);
        read.map_err(|error| Error::io(&self.name, error))
    }
}

/// The bytes from `from` to `size`, each as soon as all before it are written.
fn behind(spot: Spot, from: u64, size: u64, reached: watch::Receiver<u64>) -> ByteStream {
    let state = (spot, from, reached);
    let chunks = stream::try_unfold(state, move |(spot, at, mut reached)| async move {
        if at >= size {
            return Ok(None);
        }
        let there = reached.wait_for(|reached| *reached > at).await;
        // The other side is gone after an error of its own only.
        let gone = |_| Error::new(ErrorKind::Cancelled, "the reading was cancelled");
        let there = *there.map_err(gone)?;
        let length = usize::try_from(there - at).unwrap_or(usize::MAX).min(CHUNK);
        let place = spot.clone();
        let chunk = blocking(move || place.read(at, length)).await??;
        Ok(Some((chunk, (spot, at + length as u64, reached))))
    });
    chunks.boxed()
}

/// The parts that are written.
struct Done {
    /// Those that have others before them: begin and end.
    beyond: Lock<BTreeMap<u64, u64>>,
    /// How far there is no gap.
    reached: watch::Sender<u64>,
}

impl Done {
    fn new(from: u64) -> Self {
        Done {
            beyond: Lock::default(),
            reached: watch::Sender::new(from),
        }
    }

    fn reached(&self) -> watch::Receiver<u64> {
        self.reached.subscribe()
    }

    fn add(&self, begin: u64, end: u64) {
        let mut beyond = self.beyond.lock();
        beyond.insert(begin, end);
        self.reached.send_modify(|reached| {
            while let Some(next) = beyond.remove(reached) {
                *reached = next;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use wharf_oci::{Descriptor, Digest, MediaType};

    use super::*;

    const SMALL: Division = Division {
        least: 4 << 20,
        part: 3 << 19,
        at_once: 3,
    };

    fn content() -> Bytes {
        (0..5_000_000_u32).map(|i| (i % 251) as u8).collect()
    }

    /// A blob that is called `of`; each of its parts breaks off once, after 1 MiB.
    fn parted(of: &[u8], content: &Bytes, asked: &Arc<Lock<Vec<(u64, u64)>>>) -> Blob {
        let size = content.len() as u64;
        let descriptor = Descriptor::new(MediaType::OCI_LAYER, Digest::of(of), size);
        let whole = Blob::from_bytes(descriptor, content.clone());
        let (content, asked) = (content.clone(), Arc::clone(asked));
        whole.with_parts(move |begin, end| {
            asked.lock().push((begin, end));
            let part = content.slice(begin as usize..end as usize);
            let cut = part.len() > 1 << 20;
            let first = Ok(part.slice(..part.len().min(1 << 20)));
            let broken = || Error::new(ErrorKind::Interrupted, "cut").transient(true);
            let end = cut.then(|| Err(broken()));
            let chunks = stream::iter([Some(first), end].into_iter().flatten());
            async move { Ok(chunks.boxed()) }.boxed()
        })
    }

    fn spot() -> Spot {
        Spot {
            file: Arc::new(tempfile::tempfile().unwrap()),
            name: "file".into(),
            start: 77,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn parts_are_written_at_their_places_and_continued_where_they_break() {
        let (content, asked, spot) = (content(), Arc::default(), spot());
        let blob = parted(&content, &content, &asked);
        let seen = Seen::default();
        let filled = fill(&blob, &spot, &seen, SMALL).await.unwrap();
        assert_eq!((filled, seen.bytes()), (Filled::Yes, 5_000_000));
        assert_eq!(spot.read(0, content.len()).unwrap(), content);
        let mut asked = asked.lock().clone();
        asked.sort_unstable();
        let (part, cut) = (3 << 19, 1 << 20);
        let whole = [
            (0, part),
            (cut, part),
            (part, 2 * part),
            (part + cut, 2 * part),
        ];
        assert_eq!(asked[..4], whole);
    }

    #[tokio::test(start_paused = true)]
    async fn wrong_bytes_are_found() {
        let (content, asked) = (content(), Arc::default());
        let blob = parted(b"other", &content, &asked);
        let error = fill(&blob, &spot(), &Seen::default(), SMALL).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert_eq!(error.failed_side(), Some(Side::Source));
    }

    #[tokio::test]
    async fn a_source_without_parts_is_read_as_a_whole() {
        let (content, asked) = (content(), Arc::default());
        let tries = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&tries);
        let none = parted(&content, &content, &asked).with_parts(move |_, _| {
            counted.fetch_add(1, Ordering::Relaxed);
            let error = Error::new(ErrorKind::Unsupported, "no ranges");
            async move { Err(error) }.boxed()
        });
        let filled = fill(&none, &spot(), &Seen::default(), SMALL).await;
        assert_eq!(filled.unwrap(), Filled::No);
        assert_eq!(tries.load(Ordering::Relaxed), 1);
        let small = parted(&content, &content, &asked);
        let filled = fill(&small, &spot(), &Seen::default(), USUAL).await;
        assert_eq!(filled.unwrap(), Filled::No);
    }
}
