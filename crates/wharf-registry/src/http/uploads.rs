//! Upload sessions. distribution-spec: "Pushing blobs", "Mounting a blob from another repository".

use http::header::{HeaderName, LOCATION, RANGE};
use http::{HeaderMap, StatusCode};
use wharf_core::ErrorKind;
use wharf_core::blob::ByteStream;
use wharf_oci::{Algorithm, Digest, RepositoryName};

use super::body::RequestBody;
use super::content_range::{Extent, Sent};
use super::respond::{Answer, Code, Refusal, created, empty, refuse, set};
use crate::driver::Session;
use crate::{Caller, Registry};

type Answered = Result<Answer, Box<Refusal>>;

const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// Opens a session.
pub(crate) async fn begin(registry: &Registry, name: &RepositoryName) -> Answered {
    let session = registry.storage.begin(name).await.map_err(unknown)?;
    Ok(progress(StatusCode::ACCEPTED, &session, 0))
}

/// Stores a blob that is the body of this single request.
pub(crate) async fn whole(
    registry: &Registry,
    name: &RepositoryName,
    digest: &Digest,
    body: &RequestBody,
) -> Answered {
    let (storage, stream) = (registry.storage.clone(), body.stream());
    let (repository, expected) = (name.clone(), digest.clone());
    // In a separate task: the client does not know the session, so it must end even if the
    // connection, and with it this request, is gone.
    let receiving =
        tokio::spawn(async move { storage.put_blob(&repository, &expected, stream).await });
    let stopped = |error| wharf_core::Error::new(ErrorKind::Cancelled, "given up").source(error);
    let received = receiving.await.map_err(stopped).and_then(|kept| kept);
    received.map_err(unknown)?;
    Ok(created_blob(name, digest))
}

/// Mounts a blob, or opens a session if the other repository, or any, does not have it. A
/// repository that the caller may not pull from counts as one that does not have it.
pub(crate) async fn mount(
    registry: &Registry,
    caller: &Caller,
    name: &RepositoryName,
    digest: &Digest,
    from: Option<RepositoryName>,
) -> Answered {
    let storage = &registry.storage;
    let mounted = if from.is_none() && registry.access.may_pull_all(caller) {
        storage.mount(digest, None, name).await
    } else {
        let from = match from {
            Some(from) => registry.may_pull(caller, &from).then_some(from),
            None => holder(registry, caller, digest).await.map_err(unknown)?,
        };
        match from {
            Some(from) => storage.mount(digest, Some(&from), name).await,
            None => Ok(false),
        }
    };
    match mounted.map_err(unknown)? {
        true => Ok(created_blob(name, digest)),
        false => begin(registry, name).await,
    }
}

/// Finds a repository that has a blob and that the caller may pull from. It searches a limited
/// number: a mount that finds nothing only costs the client an upload.
async fn holder(
    registry: &Registry,
    caller: &Caller,
    digest: &Digest,
) -> wharf_core::Result<Option<RepositoryName>> {
    let storage = &registry.storage;
    if !storage.has_content(digest).await? {
        return Ok(None);
    }
    let (mut after, mut left) = (None, MOST_HOLDERS);
    loop {
        let mut names = storage.repositories(after.as_ref(), HOLDERS).await?;
        let is_last = names.len() < HOLDERS;
        after = names.last().cloned();
        names.retain(|name| registry.may_pull(caller, name));
        left -= names.len().min(left);
        let found = storage.find_blob(digest, names).await?;
        if found.is_some() || is_last || left == 0 {
            return Ok(found);
        }
    }
}

/// How many repositories to search, at a time and in total.
const HOLDERS: usize = 500;
const MOST_HOLDERS: usize = 2000;

/// Adds the body to a session.
pub(crate) async fn append(
    registry: &Registry,
    session: &Session,
    headers: &HeaderMap,
    body: &RequestBody,
) -> Answered {
    let (offset, stream) = placed(headers, body)?;
    let appended = registry
        .storage
        .append(session, offset, Algorithm::Sha256, stream);
    match appended.await {
        Ok(length) => Ok(progress(StatusCode::ACCEPTED, session, length)),
        Err(error) => Err(misplaced(registry, session, error).await),
    }
}

/// Adds the body, if there is one, and makes the session a blob.
pub(crate) async fn finish(
    registry: &Registry,
    session: &Session,
    digest: &Digest,
    headers: &HeaderMap,
    body: &RequestBody,
) -> Answered {
    let storage = &registry.storage;
    let finished = match placed(headers, body)? {
        (None, _) if body.is_at_end() => storage.finish(session, digest).await,
        (offset, stream) => storage.finish_with(session, offset, stream, digest).await,
    };
    match finished {
        Ok(_) => Ok(created_blob(&session.repository, digest)),
        Err(error) => Err(misplaced(registry, session, error).await),
    }
}

/// The body of a request, and the position in the session that it states.
fn placed(
    headers: &HeaderMap,
    body: &RequestBody,
) -> Result<(Option<u64>, ByteStream), Box<Refusal>> {
    let sent = match body.is_at_end() {
        true => Sent::Nothing,
        false => Sent::Bytes,
    };
    Ok(match Extent::of(headers, sent)? {
        Some(extent) => (Some(extent.start), extent.exactly(body.stream())),
        None => (None, body.stream()),
    })
}

/// Reports the length of a session. A client may ask after its connection broke, before the
/// interrupted request has noticed that.
pub(crate) async fn status(registry: &Registry, session: &Session) -> Answered {
    let length = registry.storage.settled(session).await.map_err(unknown)?;
    Ok(progress(StatusCode::NO_CONTENT, session, length))
}

/// Cancels a session.
pub(crate) async fn cancel(registry: &Registry, session: &Session) -> Answered {
    registry.storage.cancel(session).await.map_err(unknown)?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Refuses bytes that are not where the session ends, or not as many as stated, and says where it ends.
async fn misplaced(
    registry: &Registry,
    session: &Session,
    error: wharf_core::Error,
) -> Box<Refusal> {
    if error.kind() != ErrorKind::Invalid {
        return unknown(error);
    }
    match registry.storage.status(session).await {
        Ok(length) => unknown(error)
            .status(StatusCode::RANGE_NOT_SATISFIABLE)
            .header(LOCATION, location(session))
            .header(RANGE, range(length)),
        Err(error) => unknown(error),
    }
}

fn created_blob(name: &RepositoryName, digest: &Digest) -> Answer {
    created(&format!("/v2/{name}/blobs/{digest}"), digest)
}

fn unknown(error: wharf_core::Error) -> Box<Refusal> {
    match error.kind() {
        ErrorKind::Corrupt => Refusal::new(Code::DigestInvalid, error),
        _ => refuse(error, Code::BlobUploadUnknown),
    }
}

fn progress(status: StatusCode, session: &Session, length: u64) -> Answer {
    let mut answer = empty(status);
    set(&mut answer, LOCATION, &location(session));
    set(&mut answer, RANGE, &range(length));
    set(&mut answer, UPLOAD_ID, session.id.as_str());
    answer
}

fn location(session: &Session) -> String {
    format!("/v2/{}/blobs/uploads/{}", session.repository, session.id)
}

/// The last byte's position. `0-0` also means no bytes: the specification has no other form.
fn range(length: u64) -> String {
    format!("0-{}", length.saturating_sub(1))
}
