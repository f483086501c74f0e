//! A stream on its way into a session: received and written at the same time.

use bytes::Bytes;
use futures::StreamExt;
use wharf_core::blob::ByteStream;
use wharf_core::file::CHUNK;
use wharf_core::verify::blocking;
use wharf_core::{Error, Result};

use super::writer::Writer;

/// Writes all of `bytes`, gathering the next batch while the last one is hashed and written.
/// The writer comes back with what became of the bytes; those before an error are written.
pub(super) async fn fill(
    mut writer: Writer,
    mut bytes: ByteStream,
) -> Result<(Writer, Result<()>)> {
    let mut batch = Batch::gather(&mut bytes).await;
    loop {
        let chunks = batch.chunks;
        let write = blocking(move || {
            let written = writer.write(&chunks);
            (writer, written)
        });
        if let Some(end) = batch.end {
            let (writer, written) = write.await?;
            return Ok((writer, written.and(end)));
        }
        let (next, write) = tokio::join!(Batch::gather(&mut bytes), write);
        let (back, written) = write?;
        if written.is_err() {
            return Ok((back, written));
        }
        (writer, batch) = (back, next);
    }
}

/// About [`CHUNK`] bytes of a stream: few trips to another thread, whatever the peer sends.
struct Batch {
    chunks: Vec<Bytes>,
    end: Option<Result<(), Error>>,
}

impl Batch {
    async fn gather(stream: &mut ByteStream) -> Self {
        let (mut chunks, mut length) = (Vec::new(), 0);
        while length < CHUNK {
            match stream.next().await {
                Some(Ok(chunk)) => {
                    length += chunk.len();
                    chunks.push(chunk);
                }
                Some(Err(error)) => {
                    return Batch {
                        chunks,
                        end: Some(Err(error)),
                    };
                }
                None => {
                    return Batch {
                        chunks,
                        end: Some(Ok(())),
                    };
                }
            }
        }
        Batch { chunks, end: None }
    }
}
