//! Decompresses a stream on the way, and reads a stream from blocking code.

use std::io::{self, BufReader, Read};

use bytes::{Buf, Bytes};
use futures::{StreamExt, stream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::blob::ByteStream;
use crate::verify::blocking;
use crate::{Error, ErrorKind, Result, file};

/// What `packed` decompresses to. Its first bytes tell the compression, whatever its media type
/// says: gzip, zstd, or none. The stream ends only after `packed` ended without an error.
pub(super) fn unpacked(packed: ByteStream) -> ByteStream {
    let (sender, receiver) = mpsc::channel(file::QUEUE);
    let start = async move {
        // The work sends its own end, so it needs no result here.
        let work = read_by(packed, move |reader| unpack(reader, sender));
        drop(tokio::spawn(work));
    };
    let chunks = stream::try_unfold(
        (Some(start), receiver),
        |(start, mut receiver)| async move {
            if let Some(start) = start {
                start.await;
            }
            match receiver.recv().await.transpose()? {
                Some(chunk) if chunk == END => Ok(None),
                Some(chunk) => Ok(Some((chunk, (None, receiver)))),
                None => Err(Error::new(
                    ErrorKind::Cancelled,
                    "decompressing was cancelled",
                )),
            }
        },
    );
    chunks.boxed()
}

/// The empty chunk marks the end; no other chunk is empty.
const END: Bytes = Bytes::new();

/// Runs blocking `work` on a reader of `stream`. The stream's error counts before that of `work`.
pub(super) async fn read_by<T, F>(stream: ByteStream, work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce(&mut StreamReader) -> Result<T> + Send + 'static,
{
    let handle = Handle::current();
    blocking(move || {
        let mut reader = StreamReader {
            handle,
            stream,
            chunk: Bytes::new(),
            failed: None,
        };
        let done = work(&mut reader);
        reader.failed.map_or(done, Err)
    })
    .await?
}

/// A stream as a reader, for a thread of its own.
pub(super) struct StreamReader {
    handle: Handle,
    stream: ByteStream,
    chunk: Bytes,
    /// The stream's error; a reader only learns that there was one.
    failed: Option<Error>,
}

impl Read for StreamReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            if self.failed.is_some() {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            match self.handle.block_on(self.stream.next()) {
                None => return Ok(0),
                Some(Ok(chunk)) => self.chunk = chunk,
                Some(Err(error)) => {
                    self.failed = Some(error);
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
            }
        }
        let length = buffer.len().min(self.chunk.len());
        let (part, _) = buffer.split_at_mut(length);
        self.chunk.copy_to_slice(part);
        Ok(length)
    }
}

fn unpack(reader: &mut StreamReader, sender: mpsc::Sender<Result<Bytes>>) -> Result<()> {
    let done = copy(reader, &sender);
    let said = match reader.failed.take() {
        Some(error) => Err(error),
        None => done.map(|()| END),
    };
    // A dropped stream needs no result.
    let _ = sender.blocking_send(said);
    Ok(())
}

fn copy(packed: &mut StreamReader, sender: &mpsc::Sender<Result<Bytes>>) -> Result<()> {
    let mut head = Vec::with_capacity(ZSTD.len());
    let enough = packed
        .by_ref()
        .take(ZSTD.len() as u64)
        .read_to_end(&mut head);
    enough.map_err(broken)?;
    let (is_gzip, is_zstd) = (head.starts_with(GZIP), head.starts_with(ZSTD));
    let packed = BufReader::with_capacity(1 << 16, Read::chain(io::Cursor::new(head), packed));
    let mut plain: Box<dyn Read + '_> = if is_gzip {
        Box::new(flate2::bufread::MultiGzDecoder::new(packed))
    } else if is_zstd {
        Box::new(zstd::stream::read::Decoder::with_buffer(packed).map_err(broken)?)
    } else {
        Box::new(packed)
    };
    loop {
        let mut chunk = Vec::with_capacity(file::CHUNK);
        let read = plain
            .by_ref()
            .take(file::CHUNK as u64)
            .read_to_end(&mut chunk);
        if read.map_err(broken)? == 0 || sender.blocking_send(Ok(chunk.into())).is_err() {
            return Ok(());
        }
    }
}

/// RFC 1952 and RFC 8878.
const GZIP: &[u8] = b"\x1f\x8b\x08";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";

fn broken(error: io::Error) -> Error {
    Error::new(ErrorKind::Corrupt, "the layer cannot be decompressed").source(error)
}
