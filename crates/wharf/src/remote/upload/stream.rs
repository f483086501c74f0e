//! Content whose digest is learned while it is sent (PUSH.md U2, S3).

use std::sync::Arc;

use bytes::Bytes;
use futures::{FutureExt, StreamExt, stream};
use wharf_oci::{Algorithm, Descriptor, MediaType};

use super::super::repository::RemoteRepository;
use super::super::transport::{Body, Payload};
use super::put::{begin, unread};
use super::send::{Span, finish, first, patch};
use super::session::Session;
use crate::blob::ByteStream;
use crate::{Result, verify};

/// Sends a stream, and says what it was.
///
/// # Errors
/// What the stream or the registry says; the session is given up then.
pub(in crate::remote) async fn ingest(
    repository: &RemoteRepository,
    media_type: &MediaType,
    stream: ByteStream,
) -> Result<Descriptor> {
    let (sender, learned) = tokio::sync::oneshot::channel();
    let stream = verify::learn(stream, Algorithm::Sha256, sender);
    let mut stream = first(stream).await?.peekable();
    let empty = std::pin::Pin::new(&mut stream).peek().await.is_none();
    let mut session = begin(repository).await?;
    let host = repository.host();
    let limits = [host.chunk_size(), host.learned().largest];
    match limits.into_iter().flatten().min() {
        _ if empty => {}
        Some(limit) => {
            let size = limit.max(session.least()).max(1);
            chunked(repository, &mut session, stream.boxed(), size).await?;
        }
        None => {
            let body = Body::Stream(Payload {
                stream: stream.boxed(),
                length: None,
                again: None,
            });
            patch(repository, &mut session, body, None).await?;
        }
    }
    let (digest, size) = learned.await.map_err(|_| unread())?;
    let descriptor = Descriptor::new(media_type.clone(), digest, size);
    finish(repository, &session, &descriptor.digest, Body::Empty, None).await?;
    session.close();
    Ok(descriptor)
}

/// Sends the stream in chunks of `size` bytes, each held in memory so that its length is known.
async fn chunked(
    repository: &RemoteRepository,
    session: &mut Session,
    mut stream: ByteStream,
    size: u64,
) -> Result<()> {
    let mut left = Bytes::new();
    let mut position = 0;
    loop {
        let (chunk, rest) = gather(&mut stream, left, size).await?;
        left = rest;
        let length: u64 = chunk.iter().map(|bytes| bytes.len() as u64).sum();
        if length == 0 {
            return Ok(());
        }
        let span = Span {
            start: position,
            end: position + length,
        };
        patch(repository, session, held(chunk, length), Some(span)).await?;
        position = span.end;
    }
}

/// Up to `size` bytes of the stream, after `left`; and what came beyond them.
async fn gather(stream: &mut ByteStream, left: Bytes, size: u64) -> Result<(Vec<Bytes>, Bytes)> {
    let (mut chunk, mut wanted, mut left) = (Vec::new(), size, left);
    loop {
        let most = usize::try_from(wanted).unwrap_or(usize::MAX);
        let piece = left.split_to(most.min(left.len()));
        wanted -= piece.len() as u64;
        if !piece.is_empty() {
            chunk.push(piece);
        }
        if wanted == 0 {
            return Ok((chunk, left));
        }
        match stream.next().await.transpose()? {
            Some(next) => left = next,
            None => return Ok((chunk, left)),
        }
    }
}

fn held(chunk: Vec<Bytes>, length: u64) -> Body {
    let stream = move || stream::iter(chunk.clone().into_iter().map(Ok)).boxed();
    let first = stream();
    let again = move || {
        let stream = stream();
        async move { Ok(stream) }.boxed()
    };
    Body::Stream(Payload {
        stream: first,
        length: Some(length),
        again: Some(Arc::new(again)),
    })
}
