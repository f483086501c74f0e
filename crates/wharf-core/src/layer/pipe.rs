//! Turns the output of blocking code, on a separate thread, into a stream through a short queue.

use std::io::{self, Write};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use tokio::sync::mpsc;

use crate::blob::ByteStream;
use crate::{Error, ErrorKind, Result, file, thread};

/// The writing end. A write fails once the stream is dropped.
pub(crate) struct Pipe {
    sender: mpsc::Sender<Result<Bytes>>,
    chunk: BytesMut,
}

/// The bytes that `work` writes. `work` runs on a thread of its own, starts with the first poll and
/// ends early when the stream is dropped. The stream fails as `work` does.
pub(crate) fn written_by<F>(work: F) -> ByteStream
where
    F: FnOnce(&mut Pipe) -> Result<()> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(file::QUEUE);
    let start = move || {
        let mut pipe = Pipe {
            sender,
            chunk: BytesMut::new(),
        };
        let done = work(&mut pipe).and_then(|()| pipe.flush().map_err(Error::from));
        // A dropped stream needs no result.
        let _ = pipe.sender.blocking_send(done.map(|()| END));
    };
    stream::try_unfold(
        (receiver, Some(start)),
        |(mut receiver, start)| async move {
            if let Some(start) = start {
                thread::apart(start)?;
            }
            match receiver.recv().await.transpose()? {
                Some(chunk) if chunk == END => Ok(None),
                Some(chunk) => Ok(Some((chunk, (receiver, None)))),
                // The thread ended without a result: the bytes so far must not count as complete.
                None => Err(Error::new(ErrorKind::Cancelled, "writing was cancelled")),
            }
        },
    )
    .boxed()
}

/// The empty chunk marks the end; no other chunk is empty.
const END: Bytes = Bytes::new();

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.chunk.reserve(file::CHUNK - self.chunk.len());
        let length = bytes.len().min(file::CHUNK - self.chunk.len());
        let (part, _) = bytes.split_at(length);
        self.chunk.extend_from_slice(part);
        if self.chunk.len() == file::CHUNK {
            self.flush()?;
        }
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = self.chunk.split().freeze();
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.sender.blocking_send(Ok(chunk)).map_err(gone)
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn gives_what_was_written_in_full_chunks() {
        let stream = written_by(|pipe| {
            for _ in 0..5 {
                pipe.write_all(&[7; 500_000])?;
            }
            Ok(())
        });
        let chunks: Vec<Bytes> = stream.try_collect().await.unwrap();
        let lengths: Vec<_> = chunks.iter().map(Bytes::len).collect();
        let (full, rest) = (2_500_000 / file::CHUNK, 2_500_000 % file::CHUNK);
        assert_eq!(lengths, [vec![file::CHUNK; full], vec![rest]].concat());
    }

    #[tokio::test]
    async fn an_error_comes_after_what_was_written_before_it() {
        let stream = written_by(|pipe| {
            pipe.write_all(b"abc")?;
            pipe.flush()?;
            Err(Error::new(ErrorKind::Io, "broken"))
        });
        let results: Vec<_> = stream.collect().await;
        assert_eq!(results.len(), 2);
        assert_eq!(results[1].as_ref().unwrap_err().to_string(), "broken");
    }

    #[tokio::test]
    async fn the_writer_ends_when_nobody_reads_any_more() {
        let (sender, ended) = std::sync::mpsc::channel();
        let mut stream = written_by(move |pipe| {
            while pipe.write_all(&[0; 65_536]).is_ok() {}
            sender.send(()).unwrap();
            Ok(())
        });
        assert_eq!(stream.next().await.unwrap().unwrap().len(), file::CHUNK);
        drop(stream);
        let ended = tokio::task::spawn_blocking(move || ended.recv())
            .await
            .unwrap();
        assert!(ended.is_ok());
    }
}
