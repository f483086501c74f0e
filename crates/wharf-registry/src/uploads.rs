//! Upload sessions. distribution-spec: "Pushing blobs", "Mounting a blob from another repository".

use std::sync::Arc;

use http::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderName, LOCATION, RANGE};
use http::{HeaderMap, StatusCode};
use wharf_core::ErrorKind;
use wharf_oci::{Algorithm, Digest, RepositoryName};

use crate::Registry;
use crate::body::RequestBody;
use crate::respond::{Answer, Code, Refusal, created, empty, refuse, set};
use crate::route::Session;

type Answered = Result<Answer, Box<Refusal>>;

const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// Opens a session.
pub(crate) async fn begin(registry: &Registry, name: RepositoryName) -> Answered {
    let session = open(registry, name).await?;
    Ok(progress(StatusCode::ACCEPTED, &session, 0))
}

/// Takes a blob that is the body of this one request.
pub(crate) async fn whole(
    registry: &Registry,
    name: RepositoryName,
    digest: &Digest,
    body: &RequestBody,
) -> Answered {
    let (storage, stream) = (Arc::clone(&registry.storage), body.stream());
    let (place, digest) = (format!("/v2/{name}/blobs/{digest}"), digest.clone());
    let expected = digest.clone();
    // A task of its own: the client knows nothing of the session, so that it must be ended even
    // when the connection, and this request with it, is gone.
    let receiving = tokio::spawn(async move {
        let id = storage.begin(&name).await?;
        let algorithm = expected.algorithm();
        let sent = storage.append(&id, &name, Some(0), algorithm, stream);
        if let Err(error) = sent.await {
            // Where it is gone already, all the better.
            let _ = storage.cancel(&id, &name).await;
            return Err(error);
        }
        storage.finish(&id, &name, &expected).await
    });
    let stopped = |error| wharf_core::Error::new(ErrorKind::Cancelled, "given up").source(error);
    let received = receiving.await.map_err(stopped).and_then(|kept| kept);
    received.map_err(unknown)?;
    Ok(created(&place, &digest))
}

/// Mounts a blob, or opens a session where the other repository, or any, does not have it.
pub(crate) async fn mount(
    registry: &Registry,
    name: RepositoryName,
    digest: &Digest,
    from: Option<&RepositoryName>,
) -> Answered {
    if registry
        .storage
        .mount(digest, from, &name)
        .await
        .map_err(unknown)?
    {
        return Ok(created(&format!("/v2/{name}/blobs/{digest}"), digest));
    }
    begin(registry, name).await
}

/// Adds the body to a session.
pub(crate) async fn append(
    registry: &Registry,
    session: Session,
    headers: &HeaderMap,
    body: &RequestBody,
) -> Answered {
    let length = extend(registry, &session, Algorithm::Sha256, headers, body).await?;
    Ok(progress(StatusCode::ACCEPTED, &session, length))
}

/// Adds the body, if there is one, and makes the session a blob.
pub(crate) async fn finish(
    registry: &Registry,
    session: Session,
    digest: &Digest,
    headers: &HeaderMap,
    body: &RequestBody,
) -> Answered {
    if !body.is_at_end() {
        extend(registry, &session, digest.algorithm(), headers, body).await?;
    }
    close(registry, &session, digest).await
}

/// Says how far a session is. A client asks that when its connection broke, maybe before the
/// request that was cut off has seen it.
pub(crate) async fn status(registry: &Registry, session: Session) -> Answered {
    let length = registry
        .storage
        .settled(&session.id, &session.name)
        .await
        .map_err(unknown)?;
    Ok(progress(StatusCode::NO_CONTENT, &session, length))
}

/// Gives a session up.
pub(crate) async fn cancel(registry: &Registry, session: Session) -> Answered {
    registry
        .storage
        .cancel(&session.id, &session.name)
        .await
        .map_err(unknown)?;
    Ok(empty(StatusCode::NO_CONTENT))
}

async fn open(registry: &Registry, name: RepositoryName) -> Result<Session, Box<Refusal>> {
    let id = registry.storage.begin(&name).await.map_err(unknown)?;
    Ok(Session { name, id })
}

async fn extend(
    registry: &Registry,
    session: &Session,
    algorithm: Algorithm,
    headers: &HeaderMap,
    body: &RequestBody,
) -> Result<u64, Box<Refusal>> {
    let storage = &registry.storage;
    let offset = offset(headers)?;
    let (id, name) = (&session.id, &session.name);
    match storage
        .append(id, name, offset, algorithm, body.stream())
        .await
    {
        Ok(length) => Ok(length),
        Err(error) if error.kind() == ErrorKind::Invalid => {
            let length = storage.status(id, name).await.map_err(unknown)?;
            Err(unknown(error)
                .status(StatusCode::RANGE_NOT_SATISFIABLE)
                .header(LOCATION, location(session))
                .header(RANGE, range(length)))
        }
        Err(error) => Err(unknown(error)),
    }
}

async fn close(registry: &Registry, session: &Session, digest: &Digest) -> Answered {
    let name = &session.name;
    registry
        .storage
        .finish(&session.id, name, digest)
        .await
        .map_err(unknown)?;
    Ok(created(&format!("/v2/{name}/blobs/{digest}"), digest))
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
    format!("/v2/{}/blobs/uploads/{}", session.name, session.id)
}

/// The last byte's position. `0-0` stands for none too: the specification has no better word.
fn range(length: u64) -> String {
    format!("0-{}", length.saturating_sub(1))
}

/// Where the body says it belongs. distribution-spec, "Pushing a blob in chunks":
/// `<start>-<end>`; some clients write it as HTTP does, `bytes <start>-<end>/<size>`.
fn offset(headers: &HeaderMap) -> Result<Option<u64>, Box<Refusal>> {
    let Some(value) = headers.get(CONTENT_RANGE) else {
        return Ok(None);
    };
    let invalid = || {
        Refusal::new(
            Code::BlobUploadInvalid,
            "Content-Range is not <start>-<end>",
        )
    };
    let text = value.to_str().map_err(|_| invalid())?;
    let text = text
        .trim()
        .trim_start_matches("bytes")
        .trim_start_matches([' ', '=']);
    let text = text.split('/').next().unwrap_or_default();
    let (start, end) = text.split_once('-').ok_or_else(invalid)?;
    let start: u64 = start.parse().map_err(|_| invalid())?;
    let end: u64 = end.parse().map_err(|_| invalid())?;
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    // An empty last chunk cannot be said as a range: `5-4` and `5-5` are both seen for it.
    let claimed = end.checked_add(1).and_then(|end| end.checked_sub(start));
    match (length, claimed) {
        (Some(length), Some(claimed)) if length == claimed || length == 0 => Ok(Some(start)),
        (None, Some(_)) => Ok(Some(start)),
        _ => Err(Refusal::new(
            Code::SizeInvalid,
            "Content-Range and Content-Length disagree",
        )),
    }
}
