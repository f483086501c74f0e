//! Sends the bytes of a blob, and commits its session.

use futures::{StreamExt, TryStreamExt};
use http::Method;
use http::header::{CONTENT_RANGE, CONTENT_TYPE};
use wharf_oci::{Digest, MediaType};

use super::session::Session;
use crate::answer;
use crate::api::Api;
use crate::endpoints::blobs;
use crate::hosts::with_digest;
use crate::transport::{Body, Request, Response, Wait};
use wharf_core::blob::ByteStream;
use wharf_core::{Error, ErrorKind, Result};

/// The bytes of a blob in a request: from one position up to another, exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) end: u64,
}

/// The same bytes; the session remembers that some were sent.
pub(super) fn counted(session: &Session, stream: ByteStream) -> ByteStream {
    let filled = session.filled();
    stream
        .inspect_ok(move |chunk| filled.moved(chunk.len() as u64))
        .boxed()
}

/// Sends a body to a session, which then moves to the URL of the answer (wire.md U3).
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
    let request = ranged(request, range).body(body);
    let response = api.send(request).await?;
    let response = answer::expect(response, &[200, 201, 202, 204]).await;
    session.follow(&response.map_err(lost)?)
}

/// Makes the loss of a session transient: another session may work.
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

/// Commits a session: the registry checks the digest and stores the blob.
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

/// Accepts an odd answer to a commit if the blob is there (wire.md U3).
async fn confirm(api: &Api, digest: &Digest, response: Response) -> Result<()> {
    if blobs::is_there(api, digest).await? {
        return Ok(());
    }
    let message = format!("answered {}, but the blob is not there", response.status());
    Err(Error::new(ErrorKind::Rejected, message).target(response.endpoint()))
}
