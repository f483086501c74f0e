//! Files as byte streams, and byte streams as files, with the blocking part off the reactor.
//!
//! Each chunk of a file is read by a short blocking task of its own: a slow consumer holds no thread.
//! One chunk waits in memory while the consumer handles the last one. Readers that may block for
//! long, such as pipes, get a thread of their own.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::{FutureExt, StreamExt, stream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use wharf_oci::{Algorithm, Descriptor, Hasher, MediaType};

use crate::blob::{Blob, ByteStream};
use crate::slab;
use crate::thread;
use crate::verify::{self, blocking};
use crate::{Error, ErrorKind, Result};

/// Bytes in a chunk: large enough that the fixed cost per chunk does not matter, and small enough
/// that what the allocator keeps of freed ones on many threads does not either.
pub const CHUNK: usize = 256 << 10;

/// A buffer of this many bytes is made so fast that the reactor may do it.
const SMALL: usize = 256 << 10;

/// Chunks that a thread makes ahead of the stream's consumer.
pub const QUEUE: usize = 2;

/// `length` bytes of `file` from `start` on (both in bytes); `name` is for errors.
///
/// The stream fails with [`ErrorKind::Corrupt`], naming the offset, if the file ends early.
pub fn region(file: Arc<File>, name: &str, start: u64, length: u64) -> ByteStream {
    region_by(file, name, start, length, || CHUNK)
}

/// As [`region`], in chunks of at most `chunk()` bytes, which is asked before each chunk. A server
/// with many readers keeps them small: it holds two chunks for each.
#[doc(hidden)]
pub fn region_by(
    file: Arc<File>,
    name: &str,
    start: u64,
    length: u64,
    chunk: impl Fn() -> usize + Send + Sync + 'static,
) -> ByteStream {
    let pieces = Pieces {
        file,
        name: name.into(),
        position: start,
        end: start.saturating_add(length),
        chunk,
        ahead: None,
    };
    stream::try_unfold(pieces, |mut pieces| async {
        // Nothing is read before the first poll, so that an unused stream costs nothing.
        let Some(reading) = pieces.ahead.take().or_else(|| pieces.read()) else {
            return Ok(None);
        };
        let read = reading.await;
        let chunk = read.map_err(|error| cancelled().source(error))??;
        pieces.ahead = pieces.read();
        Ok(Some((chunk, pieces)))
    })
    .boxed()
}

/// The rest of a region.
struct Pieces<F> {
    file: Arc<File>,
    name: Arc<str>,
    position: u64,
    end: u64,
    chunk: F,
    /// The next chunk. A finished task holds no thread.
    ahead: Option<JoinHandle<Result<Bytes>>>,
}

impl<F: Fn() -> usize> Pieces<F> {
    /// Begins to read the next chunk; `None` at the end.
    fn read(&mut self) -> Option<JoinHandle<Result<Bytes>>> {
        let left = self.end.saturating_sub(self.position);
        let most = (self.chunk)().max(1);
        let want = usize::try_from(left).unwrap_or(usize::MAX).min(most);
        if want == 0 {
            return None;
        }
        let (file, name, offset) = (
            Arc::clone(&self.file),
            Arc::clone(&self.name),
            self.position,
        );
        self.position += want as u64;
        // The allocator keeps memory for each thread that asks for some, and the pool has many.
        let mut buffer = match want {
            _ if most <= slab::PIECE => Buffer::Piece(slab::piece(want)),
            _ if want <= SMALL => Buffer::Own(vec![0; want]),
            _ => Buffer::Own(Vec::new()),
        };
        let read = move || {
            let filled = positioned::read_exact_at(&file, buffer.filled(want), offset);
            filled
                .map(|()| buffer.freeze())
                .map_err(|error| match error.kind() {
                    std::io::ErrorKind::UnexpectedEof => truncated(&name, offset, want),
                    _ => Error::io(&name, error).target(format_args!("offset {offset}")),
                })
        };
        Some(tokio::task::spawn_blocking(read))
    }
}

/// The place of a chunk.
enum Buffer {
    Piece(slab::Piece),
    /// Of the right length, or empty.
    Own(Vec<u8>),
}

impl Buffer {
    fn filled(&mut self, length: usize) -> &mut [u8] {
        match self {
            Buffer::Piece(piece) => piece.as_mut(),
            Buffer::Own(bytes) => {
                if bytes.is_empty() {
                    *bytes = vec![0; length];
                }
                bytes
            }
        }
    }

    fn freeze(self) -> Bytes {
        match self {
            Buffer::Piece(piece) => piece.freeze(),
            Buffer::Own(bytes) => bytes.into(),
        }
    }
}

/// All bytes of `reader`, which is read on a thread of its own; `name` is for errors.
pub fn reader<R: Read + Send + 'static>(mut reader: R, name: &str) -> ByteStream {
    let name = name.to_owned();
    let (sender, receiver) = mpsc::channel(QUEUE);
    let work = move || {
        loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            let read = reader
                .by_ref()
                .take(CHUNK as u64)
                .read_to_end(&mut chunk)
                .map_err(|error| Error::io(&name, error));
            // The empty chunk marks the end.
            let is_last = read.is_err() || chunk.is_empty();
            let sent = sender.blocking_send(read.map(|_| Bytes::from(chunk)));
            if sent.is_err() || is_last {
                return;
            }
        }
    };
    // The thread starts when the stream is first polled, so that an unused stream costs nothing.
    stream::try_unfold((receiver, Some(work)), |(mut receiver, work)| async {
        if let Some(work) = work {
            thread::apart(work)?;
        }
        match receiver.recv().await.transpose()? {
            Some(chunk) if chunk.is_empty() => Ok(None),
            Some(chunk) => Ok(Some((chunk, (receiver, None)))),
            // The thread ended without a result: the bytes so far must not count as complete.
            None => Err(cancelled()),
        }
    })
    .boxed()
}

/// The regular file at `path` as a blob of `media_type`; it is read once to learn its digest.
///
/// # Errors
/// The system's error about the file; [`ErrorKind::Invalid`] if it is not a regular file.
pub async fn blob(path: &Path, media_type: MediaType) -> Result<Blob> {
    let (name, place) = (path.display().to_string(), path.to_owned());
    let opened = blocking(move || {
        let file = File::open(place)?;
        let metadata = file.metadata()?;
        Ok((file, metadata))
    });
    let (file, metadata) = opened.await?.map_err(|error| Error::io(&name, error))?;
    if !metadata.is_file() {
        return Err(Error::new(ErrorKind::Invalid, "not a regular file").target(name));
    }
    let (file, size) = (Arc::new(file), metadata.len());
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut stream = region(Arc::clone(&file), &name, 0, size);
    while let Some(chunk) = stream.next().await.transpose()? {
        (hasher, _) = verify::update(hasher, chunk).await?;
    }
    let descriptor = Descriptor::new(media_type, hasher.finish(), size);
    let called = name.clone();
    let open = move |offset: u64| {
        let offset = offset.min(size);
        let stream = region(Arc::clone(&file), &called, offset, size - offset);
        async move { Ok(stream) }.boxed()
    };
    Ok(Blob::new(descriptor, open).with_name(&name))
}

/// Writes all of `stream` to `file`. Returns the file and the number of bytes written.
///
/// # Errors
/// The stream's error, or the system's about the file.
pub async fn write(mut file: File, mut stream: ByteStream) -> Result<(File, u64)> {
    let mut written = 0;
    while let Some(chunk) = stream.next().await.transpose()? {
        written += chunk.len() as u64;
        file = blocking(move || file.write_all(&chunk).map(|()| file)).await??;
    }
    Ok((file, written))
}

/// Reads exactly `length` bytes at `offset` without moving any shared position.
///
/// # Errors
/// `UnexpectedEof` if the file is too short.
pub fn read_exactly_at(file: &File, offset: u64, length: usize) -> std::io::Result<Bytes> {
    let mut buffer = vec![0; length];
    positioned::read_exact_at(file, &mut buffer, offset)?;
    Ok(buffer.into())
}

/// Writes all of `bytes` at `offset` without moving any shared position.
pub(crate) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> std::io::Result<()> {
    positioned::write_all_at(file, bytes, offset)
}

fn truncated(name: &str, offset: u64, want: usize) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("file ends early: {want} more bytes expected at offset {offset}"),
    )
    .target(name)
}

fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "reading was cancelled")
}

#[cfg(unix)]
mod positioned {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    pub(super) fn read_exact_at(
        file: &File,
        buffer: &mut [u8],
        offset: u64,
    ) -> std::io::Result<()> {
        file.read_exact_at(buffer, offset)
    }

    pub(super) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> std::io::Result<()> {
        file.write_all_at(bytes, offset)
    }
}

#[cfg(not(unix))]
mod positioned {
    use std::fs::File;
    use std::io::{Read, Seek, SeekFrom, Write};

    use crate::sync::Lock;

    /// Clones of a handle share one position, so seek and read must not interleave.
    static POSITION: Lock<()> = Lock::new(());

    pub(super) fn read_exact_at(
        file: &File,
        buffer: &mut [u8],
        offset: u64,
    ) -> std::io::Result<()> {
        let _guard = POSITION.lock();
        let mut file = file;
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(buffer)
    }

    pub(super) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> std::io::Result<()> {
        let _guard = POSITION.lock();
        let mut file = file;
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(bytes)
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    fn file_of(bytes: &[u8]) -> Arc<File> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Arc::new(file)
    }

    #[tokio::test]
    async fn reads_a_region_in_chunks() {
        let bytes: Vec<u8> = (0..3 * CHUNK + 7).map(|i| (i % 251) as u8).collect();
        let chunks: Vec<Bytes> = region(file_of(&bytes), "f", 5, (3 * CHUNK) as u64 + 2)
            .try_collect()
            .await
            .unwrap();
        assert_eq!(chunks.len(), 4);
        assert_eq!(chunks.concat(), bytes[5..]);
    }

    #[tokio::test]
    async fn names_the_offset_where_a_file_ends_early() {
        let error = region(file_of(b"abc"), "layer.tar", 1, 9)
            .try_collect::<Vec<_>>()
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(
            error.to_string().starts_with("layer.tar: file ends early"),
            "{error}"
        );
        assert!(error.to_string().contains("offset 1"), "{error}");
    }

    #[tokio::test]
    async fn a_file_is_a_blob_that_can_be_opened_anywhere_and_is_checked() {
        let mut place = tempfile::NamedTempFile::new().unwrap();
        place.write_all(b"hello").unwrap();
        let blob = blob(place.path(), MediaType::OCTET_STREAM).await.unwrap();
        assert_eq!(blob.descriptor().digest, wharf_oci::Digest::of(b"hello"));
        let rest = blob.open(3).await.unwrap();
        assert_eq!(rest.try_collect::<Vec<_>>().await.unwrap().concat(), b"lo");
        std::fs::write(place.path(), "hallo").unwrap();
        let error = blob.read_all(9).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        let name = place.path().display().to_string();
        assert!(error.to_string().starts_with(&name), "{error}");
    }

    #[tokio::test]
    async fn writes_what_a_reader_gives() {
        let bytes = vec![7; CHUNK + 1];
        let stream = reader(std::io::Cursor::new(bytes.clone()), "r");
        let (file, written) = write(tempfile::tempfile().unwrap(), stream).await.unwrap();
        assert_eq!(written, bytes.len() as u64);
        assert_eq!(read_exactly_at(&file, 0, bytes.len()).unwrap(), bytes);
    }
}
