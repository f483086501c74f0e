//! Learns the diff id of a compressed layer while it is sent.
//!
//! The stream ends only after everything was decompressed without an error, so a truncated or
//! damaged layer never looks complete to a store.

use std::io::{self, BufReader, Read};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use futures::{StreamExt, stream};
use tokio::sync::{mpsc, oneshot};
use wharf_oci::{Algorithm, Compression, Digest, Hasher};

use super::head::{self, OnlyTar};
use crate::blob::ByteStream;
use crate::{Error, ErrorKind, Result, file, thread, verify};

/// What compressed bytes must decompress to.
#[derive(Clone)]
pub(super) enum Content {
    /// Anything.
    Any,
    /// A tar. The input has this name in messages.
    Tar(Arc<str>),
}

/// Yields `stream` as it is. `learned` gets digest and size of the uncompressed tar once it ended.
pub(super) fn learn(
    stream: ByteStream,
    compression: Compression,
    content: Content,
    learned: oneshot::Sender<(Digest, u64)>,
) -> ByteStream {
    if compression == Compression::None {
        let stream = content.check(stream);
        return verify::learn(stream, Algorithm::Sha256, learned);
    }
    let (sender, receiver) = mpsc::channel(file::QUEUE);
    let beside = Beside {
        stream,
        sender,
        receiver: Some(receiver),
        worker: None,
        compression,
        content,
        learned,
    };
    stream::try_unfold(Some(beside), |beside| async {
        let Some(beside) = beside else {
            return Ok(None);
        };
        beside.step().await
    })
    .boxed()
}

struct Beside {
    stream: ByteStream,
    sender: mpsc::Sender<Bytes>,
    /// Taken by the worker, which starts with the first chunk.
    receiver: Option<mpsc::Receiver<Bytes>>,
    worker: Option<oneshot::Receiver<Result<(Digest, u64)>>>,
    compression: Compression,
    content: Content,
    learned: oneshot::Sender<(Digest, u64)>,
}

impl Content {
    /// The same stream, which fails if it is something else.
    pub(super) fn check(&self, stream: ByteStream) -> ByteStream {
        match self {
            Content::Any => stream,
            Content::Tar(name) => head::only_tar(stream, Arc::clone(name)),
        }
    }
}

impl Beside {
    async fn step(mut self) -> Result<Option<(Bytes, Option<Beside>)>> {
        if let Some(receiver) = self.receiver.take() {
            let (compression, content) = (self.compression, self.content.clone());
            let (sender, found) = oneshot::channel();
            // The stream may be gone at the end.
            thread::apart(move || drop(sender.send(unpack(receiver, compression, content))))?;
            self.worker = Some(found);
        }
        let Some(chunk) = self.stream.next().await.transpose()? else {
            return self.finish().await.map(|()| None);
        };
        if self.sender.send(chunk.clone()).await.is_err() {
            // The worker stops early only on an error, which says why.
            self.finish().await?;
            let message = "more bytes follow the end of the compressed content";
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        Ok(Some((chunk, Some(self))))
    }

    async fn finish(self) -> Result<()> {
        drop(self.sender);
        let Some(worker) = self.worker else {
            return Ok(());
        };
        let cancelled =
            |error| Error::new(ErrorKind::Cancelled, "decompressing was cancelled").source(error);
        let found = worker.await.map_err(cancelled)??;
        // The receiver may be gone.
        let _ = self.learned.send(found);
        Ok(())
    }
}

fn name(compression: Compression) -> &'static str {
    match compression {
        Compression::None => "a tar",
        Compression::Gzip => "whole gzip content",
        Compression::Zstd => "whole zstd content",
    }
}

/// Digest and size of what the chunks decompress to. Blocking.
fn unpack(
    chunks: mpsc::Receiver<Bytes>,
    compression: Compression,
    content: Content,
) -> Result<(Digest, u64)> {
    let damaged = |error: io::Error| {
        let message = format!("layer is not {}", name(compression));
        Error::new(ErrorKind::Corrupt, message).source(error)
    };
    let mut reader = reader(chunks, compression).map_err(damaged)?;
    let mut tar = match content {
        Content::Any => None,
        Content::Tar(name) => Some((OnlyTar::default(), name)),
    };
    let (mut hasher, mut size) = (Hasher::new(Algorithm::Sha256), 0);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = match reader.read(&mut buffer) {
            Ok(read) => buffer.get(..read).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(damaged(error)),
        };
        if let Some((tar, name)) = &mut tar {
            let judged = match read.is_empty() {
                true => tar.end(),
                false => tar.add(read),
            };
            judged.map_err(|error| error.target(format_args!("{name}, decompressed")))?;
        }
        if read.is_empty() {
            return Ok((hasher.finish(), size));
        }
        hasher.update(read);
        size += read.len() as u64;
    }
}

fn reader(chunks: mpsc::Receiver<Bytes>, compression: Compression) -> io::Result<Box<dyn Read>> {
    let chunks = Chunks {
        chunks,
        chunk: Bytes::new(),
    };
    let chunks = BufReader::with_capacity(1 << 16, chunks);
    Ok(match compression {
        Compression::None => Box::new(chunks),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(chunks)),
        Compression::Zstd => Box::new(::zstd::stream::read::Decoder::with_buffer(chunks)?),
    })
}

struct Chunks {
    chunks: mpsc::Receiver<Bytes>,
    chunk: Bytes,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.chunks.blocking_recv() {
                Some(chunk) => self.chunk = chunk,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.chunk.len());
        let (part, _) = buffer.split_at_mut(length);
        self.chunk.copy_to_slice(part);
        Ok(length)
    }
}
