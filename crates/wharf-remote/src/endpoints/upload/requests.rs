//! The requests that carry the bytes of a blob, and the one that ends its session.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use http::Method;
use http::header::{CONTENT_RANGE, CONTENT_TYPE};
use wharf_oci::{Digest, MediaType};

use super::chunks;
use super::manner::Manner;
use super::session::Session;
use crate::answer;
use crate::api::Api;
use crate::hosts::with_digest;
use crate::transport::{Body, Payload, Request, Response, Wait};
use wharf_core::blob::{Blob, ByteStream};
use wharf_core::{Error, ErrorKind, Result};

/// Which bytes of a blob a request carries: from one position up to another, exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) end: u64,
}

/// A blob and how far its stream is.
pub(super) struct Reading<'a> {
    pub(super) blob: &'a Blob,
    /// The position of the stream's first byte; 0: the whole is checked as it flows.
    pub(super) offset: u64,
    pub(super) stream: ByteStream,
}

impl<'a> Reading<'a> {
    /// Opens the blob from `offset` on and waits for its first bytes: a slow source must not
    /// make a session or connection wait (wire.md U9).
    ///
    /// # Errors
    /// What the source says.
    pub(super) async fn open(blob: &'a Blob, offset: u64) -> Result<Self> {
        let stream = first(bytes(blob, offset).await?).await?;
        Ok(Reading {
            blob,
            offset,
            stream,
        })
    }

    fn size(&self) -> u64 {
        self.blob.descriptor().size
    }
}

/// A blob's bytes from `offset` on. From the beginning they are checked against the digest; a
/// rest is checked for its length, and by the registry, which has seen the beginning.
async fn bytes(blob: &Blob, offset: u64) -> Result<ByteStream> {
    if offset == 0 {
        return blob.read().await;
    }
    if blob.descriptor().size <= offset {
        // Nothing is asked of a source that may have no answer to that.
        return Ok(stream::empty().boxed());
    }
    blob.read_rest(offset).await
}

/// The same stream, once its first bytes (or its end) are there.
pub(super) async fn first(stream: ByteStream) -> Result<ByteStream> {
    let mut stream = stream.peekable();
    let failed = match std::pin::Pin::new(&mut stream).peek().await {
        Some(Err(_)) => stream.next().await,
        _ => None,
    };
    match failed {
        Some(Err(error)) => Err(error),
        _ => Ok(stream.boxed()),
    }
}

/// Sends everything that is read to the session, and ends it.
///
/// # Errors
/// What the source or the registry says; the session is then as far as the registry knows.
pub(super) async fn send_all(
    api: &Api,
    session: &mut Session,
    reading: Reading<'_>,
    manner: Manner,
) -> Result<()> {
    let digest = reading.blob.descriptor().digest.clone();
    let span = Span {
        start: reading.offset,
        end: reading.size(),
    };
    if span.start == span.end {
        // Nothing to send, but the digest of nothing is still to be checked.
        reading.stream.try_for_each(|_| async { Ok(()) }).await?;
        return finish(api, session, &digest, Body::Empty, None).await;
    }
    // What begins at the beginning and is all there is needs no range.
    let range = (span.start > 0).then_some(span);
    match manner {
        Manner::Whole => {
            let body = body(session, reading);
            finish(api, session, &digest, body, range).await
        }
        Manner::Patch => {
            let body = body(session, reading);
            patch(api, session, body, range).await?;
            finish(api, session, &digest, Body::Empty, None).await
        }
        Manner::Chunks(size) => {
            chunks::send_chunks(api, session, reading, size).await?;
            finish(api, session, &digest, Body::Empty, None).await
        }
    }
}

fn body(session: &Session, reading: Reading<'_>) -> Body {
    let length = reading.size().saturating_sub(reading.offset);
    let (blob, offset) = (reading.blob.clone(), reading.offset);
    let again = move || {
        let blob = blob.clone();
        async move { bytes(&blob, offset).await }.boxed()
    };
    Body::Stream(Payload {
        stream: counted(session, reading.stream),
        length: Some(length),
        again: Arc::new(again),
    })
}

/// The same bytes; the session remembers that some were sent.
pub(super) fn counted(session: &Session, stream: ByteStream) -> ByteStream {
    let moved = session.moved();
    stream
        .inspect_ok(move |_| moved.store(true, Ordering::Relaxed))
        .boxed()
}

/// Sends a body to a session, which then goes on where the answer says (wire.md U3).
///
/// # Errors
/// What the body's source or the registry says.
pub(super) async fn patch(
    api: &Api,
    session: &mut Session,
    body: Body,
    range: Option<Span>,
) -> Result<()> {
    let request = Request::new(Method::PATCH, session.url()?.clone());
    let request = ranged(request, range).body(body).wait(Wait::Commit);
    let response = api.send(request).await?;
    let response = answer::expect(response, &[200, 201, 202, 204]).await;
    session.follow(&response.map_err(lost)?)
}

/// A session that the registry lost is no word about the blob: another one may do.
fn lost(error: Error) -> Error {
    let codes = error.diagnostic().map(|diagnostic| &diagnostic.errors);
    let lost = codes.is_some_and(|codes| {
        let mut codes = codes.iter();
        codes.any(|entry| entry.code == "BLOB_UPLOAD_UNKNOWN")
    });
    match lost {
        true => error.transient(true),
        false => error,
    }
}

/// Ends a session: the registry checks the digest and keeps the blob.
///
/// # Errors
/// What the body's source or the registry says.
pub(super) async fn finish(
    api: &Api,
    session: &Session,
    digest: &Digest,
    body: Body,
    range: Option<Span>,
) -> Result<()> {
    let request = Request::new(Method::PUT, with_digest(session.url()?, digest));
    let request = ranged(request, range).body(body).wait(Wait::Commit);
    let response = api.send(request).await?;
    if !response.status().is_success() {
        return Err(lost(answer::error(response).await));
    }
    let named = response.header("docker-content-digest");
    let other = named
        .and_then(|named| named.parse().ok())
        .is_some_and(|named: Digest| named.algorithm() == digest.algorithm() && named != *digest);
    match response.status().as_u16() {
        201 if !other => Ok(()),
        _ => confirm(api, digest, response).await,
    }
}

/// distribution-spec, "Pushing a blob in chunks": `<start>-<end>`, both inclusive.
fn ranged(request: Request, range: Option<Span>) -> Request {
    let request = request.header(CONTENT_TYPE, MediaType::OCTET_STREAM.as_str());
    match range {
        Some(Span { start, end }) => {
            let last = end.saturating_sub(1);
            request.header(CONTENT_RANGE, &format!("{start}-{last}"))
        }
        None => request,
    }
}

/// An odd answer to a commit counts when the blob is there (wire.md U3).
async fn confirm(api: &Api, digest: &Digest, response: Response) -> Result<()> {
    let url = api.urls().await?.blob(api.name(), digest);
    let there = api.send(Request::new(Method::HEAD, url).verified()).await?;
    if there.status().as_u16() == 200 {
        return Ok(());
    }
    let message = format!("answered {}, but the blob is not there", response.status());
    Err(Error::new(ErrorKind::Rejected, message).target(response.endpoint()))
}
