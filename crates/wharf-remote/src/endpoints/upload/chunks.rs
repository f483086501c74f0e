//! Sends a blob in chunks, one request each (distribution-spec: "Pushing a blob in chunks").

use std::sync::Arc;

use bytes::Bytes;
use futures::{FutureExt, StreamExt, stream};
use tokio::sync::Mutex;

use super::reading::Reading;
use super::requests::{Span, counted, patch};
use super::session::Session;
use crate::api::Api;
use crate::transport::{Again, Body, Payload};
use wharf_core::blob::{Blob, ByteStream};
use wharf_core::{Error, Result};

/// How often a registry may correct the position of one blob.
const CORRECTIONS: u32 = 3;

/// Sends the bytes in chunks of at most `size` bytes. Does not end the session.
///
/// # Errors
/// What the source or the registry says.
pub(super) async fn send_chunks(
    api: &Api,
    session: &mut Session,
    reading: Reading<'_>,
    size: u64,
) -> Result<()> {
    let (blob, total) = (reading.blob, reading.blob.descriptor().size);
    let mut position = reading.offset;
    let mut bytes = Cursor::new(reading.stream);
    // The position at which the current stream begins.
    let mut begun = position;
    let mut corrections = 0;
    while position < total {
        let span = Span {
            start: position,
            end: position.saturating_add(size).min(total),
        };
        let body = Body::Stream(Payload {
            stream: counted(session, Cursor::take(&bytes, span.end - span.start)),
            length: Some(span.end - span.start),
            again: again(blob, span),
        });
        match patch(api, session, body, Some(span)).await {
            Ok(()) => {
                position = span.end;
                // A repeated chunk did not come from the stream.
                if bytes.lock().await.given != span.end - begun {
                    (bytes, begun) = (reopened(blob, position).await?, position);
                }
            }
            Err(error) => {
                position = elsewhere(session, &error, total).await?.ok_or(error)?;
                corrections += 1;
                if corrections > CORRECTIONS {
                    return Err(lost(position));
                }
                (bytes, begun) = (reopened(blob, position).await?, position);
            }
        }
    }
    Ok(())
}

/// The blob from `position` on, to cut chunks from; read only when needed.
async fn reopened(blob: &Blob, position: u64) -> Result<Arc<Mutex<Cursor>>> {
    Ok(Cursor::new(Reading::open(blob, position).await?.stream))
}

/// How to get the bytes of one chunk again.
fn again(blob: &Blob, span: Span) -> Again {
    let blob = blob.clone();
    Arc::new(move || {
        let blob = blob.clone();
        async move {
            let rest = reopened(&blob, span.start).await?;
            Ok(Cursor::take(&rest, span.end - span.start))
        }
        .boxed()
    })
}

/// The registry's position, if it refused a chunk for its start (416).
async fn elsewhere(session: &mut Session, error: &Error, total: u64) -> Result<Option<u64>> {
    if error.status() != Some(416) {
        return Ok(None);
    }
    let there = session.status().await?;
    Ok(there.filter(|position| (1..=total).contains(position)))
}

fn lost(position: u64) -> Error {
    let message = format!("the session is at byte {position}, not where its last answer said");
    Error::new(wharf_core::ErrorKind::Rejected, message)
}

/// A stream that is cut into several bodies, one after the other.
struct Cursor {
    stream: ByteStream,
    /// The bytes read beyond the end of the last body.
    left: Bytes,
    /// The number of bytes given to bodies.
    given: u64,
}

impl Cursor {
    fn new(stream: ByteStream) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Cursor {
            stream,
            left: Bytes::new(),
            given: 0,
        }))
    }

    /// The next `length` bytes as a stream, or fewer at the end.
    fn take(this: &Arc<Mutex<Self>>, length: u64) -> ByteStream {
        let state = (Arc::clone(this), length);
        stream::try_unfold(state, |(cursor, wanted)| async move {
            if wanted == 0 {
                return Ok(None);
            }
            let chunk = cursor.lock().await.next(wanted).await?;
            Ok(chunk.map(|chunk| {
                let rest = wanted - chunk.len() as u64;
                (chunk, (cursor, rest))
            }))
        })
        .boxed()
    }

    async fn next(&mut self, most: u64) -> Result<Option<Bytes>> {
        while self.left.is_empty() {
            match self.stream.next().await.transpose()? {
                Some(chunk) => self.left = chunk,
                None => return Ok(None),
            }
        }
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let piece = self.left.split_to(most.min(self.left.len()));
        self.given += piece.len() as u64;
        Ok(Some(piece))
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn u4_bodies_are_cut_from_one_stream_without_loss() {
        let chunks = ["abc", "", "defgh", "i"].map(|text| Ok(Bytes::from_static(text.as_bytes())));
        let cursor = Cursor::new(stream::iter(chunks).boxed());
        let mut bodies = Vec::new();
        for _ in 0..4 {
            let body: Vec<Bytes> = Cursor::take(&cursor, 4).try_collect().await.unwrap();
            bodies.push(body.concat());
        }
        assert_eq!(bodies, [&b"abcd"[..], b"efgh", b"i", b""]);
    }
}
