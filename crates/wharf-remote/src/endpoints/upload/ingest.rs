//! Sends content and learns its digest on the way (wire.md U2, S3).

use std::sync::Arc;

use bytes::Bytes;
use futures::{FutureExt, StreamExt, stream};
use wharf_oci::{Descriptor, Digest, MediaType};

use super::manner::{Manner, smaller};
use super::put_blob;
use super::reading::first;
use super::requests::{Span, counted, finish, patch};
use super::resume::{self, Resumable, Sought};
use super::session::Session;
use crate::api::Api;
use crate::endpoints::blobs;
use crate::hosts::Note;
use crate::transport::{Again, Body, Payload};
use wharf_core::blob::ByteStream;
use wharf_core::intake::Intake;
use wharf_core::{Error, ErrorKind, Result, Side};

const GONE: &str = "the registry requires the request again, but its bytes come only once";

/// Sends the content, from its beginning or from the position of an interrupted session, and
/// returns its descriptor. Tries once; an interrupted try leaves its session to the next one.
///
/// # Errors
/// The error of the source or the registry. A session that cannot be resumed is cancelled.
pub(crate) async fn ingest(
    api: &Api,
    media_type: &MediaType,
    intake: Arc<dyn Intake>,
) -> Result<Descriptor> {
    let (mut earlier, mut failing) = (None, None);
    let note = match resume::find(api, Sought::intake(&*intake)).await? {
        Resumable::Nothing(note) => note,
        Resumable::Failing(session, answer) => {
            tracing::debug!(?answer, "session is of no use");
            failing = Some((session, answer));
            None
        }
        Resumable::Session(session, length) => {
            let continued = go_on(api, media_type, &intake, session, length).await;
            let (error, note) = match continued {
                Ok(descriptor) => return Ok(descriptor),
                Err(failure) => failure,
            };
            let final_word = error.failed_side() == Some(Side::Source);
            if final_word || (note.is_none() && error.is_transient()) {
                return Err(error);
            }
            // A registry that was wrong about the session may be right about a new one.
            tracing::debug!(%error, "session could not be continued");
            earlier = Some(error);
            note
        }
    };
    // The session may be gone because it was committed, and only the answer was lost.
    if let Ok((digest, size)) = intake.learned() {
        let descriptor = Descriptor::new(media_type.clone(), digest, size);
        if blobs::contains(api, &descriptor).await? {
            let left = failing.and_then(|(session, _)| session.give_up());
            note.into_iter().chain(left).for_each(Note::clear);
            return Ok(descriptor);
        }
    }
    let stream = match (intake.open(0).await, failing.take()) {
        (Ok(stream), session) => {
            failing = session;
            first(stream).await?
        }
        // The beginning is gone: a session of little use is all there is.
        (Err(_), Some((session, Ok(length)))) => {
            let continued = go_on(api, media_type, &intake, session, length).await;
            return continued.map_err(|(error, _)| error);
        }
        (Err(_), Some((session, Err(error)))) => {
            if let Some(key) = intake.key() {
                session.keep(key);
            }
            return Err(error);
        }
        // The earlier error is the cause.
        (Err(error), None) => return Err(earlier.unwrap_or(error)),
    };
    let failing = failing.map(|(session, _)| session);
    let opened = put_blob::begin(api).await;
    let (mut session, left) = put_blob::replaced(failing, opened, intake.key())?;
    session.note(left.or(note));
    match sent(api, &mut session, &intake, 0, stream).await {
        Ok(learned) => Ok(closed(session, media_type, learned)),
        Err(error) => {
            match intake.key() {
                Some(key) if put_blob::broke_off(&error) => session.keep(key),
                _ => session.end(),
            }
            Err(error)
        }
    }
}

fn closed(session: Session, media_type: &MediaType, (digest, size): (Digest, u64)) -> Descriptor {
    session.close();
    Descriptor::new(media_type.clone(), digest, size)
}

/// Continues a session that has `length` bytes. If the session was kept, the error has no note.
async fn go_on(
    api: &Api,
    media_type: &MediaType,
    intake: &Arc<dyn Intake>,
    mut session: Session,
    length: u64,
) -> Result<Descriptor, (Error, Option<Note>)> {
    match rest(api, &mut session, intake, length).await {
        Ok(learned) => Ok(closed(session, media_type, learned)),
        Err(error) => Err(put_blob::stop(session, intake.key(), length, error)),
    }
}

/// Sends the bytes after the `length` that a session has (wire.md U5, U6).
async fn rest(
    api: &Api,
    session: &mut Session,
    intake: &Arc<dyn Intake>,
    length: u64,
) -> Result<(Digest, u64)> {
    let stream = first(intake.open(length).await?).await?;
    sent(api, session, intake, length, stream).await
}

/// Sends the bytes from `offset` on, and commits the session.
async fn sent(
    api: &Api,
    session: &mut Session,
    intake: &Arc<dyn Intake>,
    offset: u64,
    stream: ByteStream,
) -> Result<(Digest, u64)> {
    let mut stream = stream.peekable();
    let empty = std::pin::Pin::new(&mut stream).peek().await.is_none();
    let stream = stream.boxed();
    let sent = match held_size(api, session, offset) {
        _ if empty => Ok(()),
        Some(size) => {
            let sent = chunked(api, session, offset, stream, size).await;
            if sent.is_ok() && api.host().learned().largest == Some(size) {
                api.host().learn_limit(size);
            }
            sent.map_err(|error| unwanted(api, error, size))
        }
        None => {
            let body = Body::Stream(Payload {
                stream: counted(session, stream),
                length: None,
                again: again(intake, offset),
            });
            patch(api, session, body, None).await
        }
    };
    let least = session.least();
    sent.map_err(|error| too_large(api, error, least))?;
    let (digest, size) = intake.learned()?;
    finish(api, session, &digest, Body::Empty, None).await?;
    Ok((digest, size))
}

/// How to get the bytes from `offset` on again. If they are gone another try may help, because it
/// asks the registry what it has.
fn again(intake: &Arc<dyn Intake>, offset: u64) -> Again {
    let intake = Arc::clone(intake);
    Arc::new(move || {
        let intake = Arc::clone(&intake);
        let gone = |error: Error| match error.failed_side() {
            Some(Side::Source) => error,
            _ => Error::new(ErrorKind::Unsupported, GONE).transient(true),
        };
        async move { intake.open(offset).await.map_err(gone) }.boxed()
    })
}

/// Stops sending chunks that the user did not ask for if the registry refuses them.
fn unwanted(api: &Api, error: Error, size: u64) -> Error {
    let host = api.host();
    if !Manner::Chunks(size).is_unwanted(&error, host.chunk_size(), &host.learned()) {
        return error;
    }
    host.learn_sending(|learned| learned.unchunked = true);
    error.transient(true)
}

/// The most bytes of a stream held in memory by each transfer.
const HELD: u64 = 8 << 20;

/// The chunk size of the stream, if it is sent in chunks. Chunks larger than [`HELD`] are not used:
/// the stream then goes in one body. A rest must go in chunks, because `Content-Range` needs their
/// length.
fn held_size(api: &Api, session: &Session, offset: u64) -> Option<u64> {
    let (host, learned) = (api.host(), api.host().learned());
    let careful = offset > 0 || (learned.forgets && !learned.unchunked);
    let limits = [host.chunk_size(), learned.largest, careful.then_some(HELD)];
    let limit = limits.into_iter().flatten().min()?.min(HELD);
    let size = limit.max(session.least()).max(1);
    (size <= HELD).then_some(size)
}

/// Makes a body that was too large, or lacked a length, transient: the next try uses smaller
/// chunks, if the stream can be read again (wire.md U4).
fn too_large(api: &Api, error: Error, least: u64) -> Error {
    if !matches!(error.status(), Some(411 | 413)) {
        return error;
    }
    let host = api.host();
    let refused = [host.chunk_size(), host.learned().largest];
    let smaller = match refused.into_iter().flatten().min() {
        Some(refused) => smaller(refused.min(HELD), least),
        None => Some(HELD),
    };
    let Some(smaller) = smaller else { return error };
    host.learn_sending(|learned| learned.largest = Some(smaller));
    error.transient(true)
}

/// Sends the stream, which begins at `position`, in chunks of `size` bytes. Each is held in memory,
/// so that its length is known.
async fn chunked(
    api: &Api,
    session: &mut Session,
    mut position: u64,
    mut stream: ByteStream,
    size: u64,
) -> Result<()> {
    let mut left = Bytes::new();
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
        let body = held(session, chunk, length);
        patch(api, session, body, Some(span)).await?;
        position = span.end;
    }
}

/// Up to `size` bytes of `left` and the stream, and the rest of the last chunk.
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

fn held(session: &Session, chunk: Vec<Bytes>, length: u64) -> Body {
    let stream = move || stream::iter(chunk.clone().into_iter().map(Ok)).boxed();
    let first = stream();
    let again = move || {
        let stream = stream();
        async move { Ok(stream) }.boxed()
    };
    Body::Stream(Payload {
        stream: counted(session, first),
        length: Some(length),
        again: Arc::new(again),
    })
}
