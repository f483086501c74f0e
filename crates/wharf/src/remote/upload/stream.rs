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
use crate::{Error, Result, verify};

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
    match held_size(repository, &session) {
        _ if empty => {}
        Some(size) => {
            let sent = chunked(repository, &mut session, stream.boxed(), size).await;
            sent.map_err(|error| too_large(repository, error))?;
        }
        None => {
            let body = Body::Stream(Payload {
                stream: stream.boxed(),
                length: None,
                again: None,
            });
            let sent = patch(repository, &mut session, body, None).await;
            sent.map_err(|error| too_large(repository, error))?;
        }
    }
    let (digest, size) = learned.await.map_err(|_| unread())?;
    let descriptor = Descriptor::new(media_type.clone(), digest, size);
    finish(repository, &session, &descriptor.digest, Body::Empty, None).await?;
    session.close();
    Ok(descriptor)
}

/// The most bytes of a stream that are held: as many for each transfer at a time.
const HELD: u64 = 8 << 20;

/// Front ends that limit bodies allow a mebibyte or more; this is below all of them.
const SMALLEST: u64 = 512 << 10;

/// In chunks of how many bytes the stream goes, if in chunks: one that is larger than what is held
/// goes as a whole, whatever its length.
fn held_size(repository: &RemoteRepository, session: &Session) -> Option<u64> {
    let host = repository.host();
    let limits = [host.chunk_size(), host.learned().largest];
    let limit = limits.into_iter().flatten().min()?.min(HELD);
    let size = limit.max(session.least()).max(1);
    (size <= HELD).then_some(size)
}

/// A body that is too large, or whose length must be known, is another time cut smaller, where
/// the stream can be had another time (PUSH.md U4).
fn too_large(repository: &RemoteRepository, error: Error) -> Error {
    if !matches!(error.status(), Some(411 | 413)) {
        return error;
    }
    let host = repository.host();
    let smaller = host
        .learned()
        .largest
        .map_or(HELD, |bytes| bytes.min(HELD) / 4);
    if smaller < SMALLEST {
        return error;
    }
    host.learn_sending(|learned| learned.largest = Some(smaller));
    error.transient(true)
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
