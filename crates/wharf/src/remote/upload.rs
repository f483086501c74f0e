//! How a blob gets into a repository (distribution-spec: "Pushing blobs").
//!
//! Known digest: POST, then one PUT with the whole body. Unknown digest, or a registry that
//! refuses such a PUT: POST, PATCH, PUT. Nothing here is tried again but in another of these ways.

use futures::TryStreamExt;
use http::Method;
use http::header::CONTENT_TYPE;
use url::Url;
use wharf_oci::{Algorithm, Descriptor, Digest, MediaType};

use super::answer;
use super::endpoint::with_digest;
use super::guard;
use super::repository::RemoteRepository;
use super::transport::{Body, Request, Response, Wait};
use crate::blob::{Blob, ByteStream};
use crate::store::Outcome;
use crate::verify;
use crate::{Error, ErrorKind, Result};

/// Sends a blob whose digest is known, or has the registry mount it.
pub(super) async fn put(repository: &RemoteRepository, blob: &Blob) -> Result<Outcome> {
    let Some(session) = start(repository, blob).await? else {
        return Ok(Outcome::Mounted);
    };
    if repository.host().wants_patch() {
        return patch_and_put(repository, session, blob).await;
    }
    match put_whole(repository, &session, blob).await {
        Err(error) if refuses_whole(&error) => {
            tracing::debug!(%error, "one PUT was refused: sending PATCH and PUT");
            let session = begin(repository).await?;
            let outcome = patch_and_put(repository, session, blob).await?;
            repository.host().learn_patch();
            Ok(outcome)
        }
        other => other,
    }
}

/// Sends content whose digest is learned on the way.
pub(super) async fn ingest(
    repository: &RemoteRepository,
    media_type: &MediaType,
    stream: ByteStream,
) -> Result<Descriptor> {
    let session = begin(repository).await?;
    let (sender, learned) = tokio::sync::oneshot::channel();
    let stream = verify::learn(stream, Algorithm::Sha256, sender);
    let session = patch(repository, session, Body::Stream(stream, None)).await?;
    let unread = |_| {
        Error::new(
            ErrorKind::Rejected,
            "the registry answered before it had everything",
        )
    };
    let (digest, size) = learned.await.map_err(unread)?;
    let descriptor = Descriptor::new(media_type.clone(), digest, size);
    finish(repository, &session, &descriptor.digest, Body::Empty).await?;
    Ok(descriptor)
}

/// A session for the blob, or `None` when the registry mounted it instead.
async fn start(repository: &RemoteRepository, blob: &Blob) -> Result<Option<Url>> {
    let here = repository.repository();
    let near = blob
        .origin()
        .filter(|origin| origin.registry() == here.registry() && *origin != here);
    if let Some(origin) = near {
        let digest = &blob.descriptor().digest;
        let url = repository
            .endpoint()
            .await?
            .mount(repository.name(), digest, origin.name());
        let response = repository.send(Request::new(Method::POST, url)).await?;
        match response.status().as_u16() {
            201 => return Ok(None),
            202 => return Ok(Some(location(&response)?)),
            // A registry that cannot or will not mount may still take the bytes (PUSH.md M2).
            status => tracing::debug!(status, %origin, "not mounted"),
        }
    }
    begin(repository).await.map(Some)
}

async fn begin(repository: &RemoteRepository) -> Result<Url> {
    let url = repository.endpoint().await?.uploads(repository.name());
    let response = repository.send(Request::new(Method::POST, url)).await?;
    location(&answer::expect(response, &[202]).await?)
}

async fn put_whole(repository: &RemoteRepository, session: &Url, blob: &Blob) -> Result<Outcome> {
    let body = body_of(blob).await?;
    finish(repository, session, &blob.descriptor().digest, body).await?;
    Ok(Outcome::Written)
}

async fn patch_and_put(
    repository: &RemoteRepository,
    session: Url,
    blob: &Blob,
) -> Result<Outcome> {
    let session = patch(repository, session, body_of(blob).await?).await?;
    finish(repository, &session, &blob.descriptor().digest, Body::Empty).await?;
    Ok(Outcome::Written)
}

async fn body_of(blob: &Blob) -> Result<Body> {
    let size = blob.descriptor().size;
    let stream = blob.read().await?;
    if size > 0 {
        return Ok(Body::Stream(stream, Some(size)));
    }
    // Nothing to send, but the digest of nothing is still to be checked.
    stream.try_for_each(|_| async { Ok(()) }).await?;
    Ok(Body::Empty)
}

/// Sends a body to a session; gives the URL at which the session goes on (PUSH.md U3).
async fn patch(repository: &RemoteRepository, session: Url, body: Body) -> Result<Url> {
    let request = Request::new(Method::PATCH, session.clone())
        .header(CONTENT_TYPE, MediaType::OCTET_STREAM.as_str())
        .body(body)
        .wait(Wait::Commit);
    let response = repository.send(request).await?;
    let response = answer::expect(response, &[200, 201, 202, 204]).await?;
    if response.header("location").is_none() {
        return Ok(session);
    }
    location(&response)
}

/// Ends a session: the registry checks the digest and keeps the blob.
async fn finish(
    repository: &RemoteRepository,
    session: &Url,
    digest: &Digest,
    body: Body,
) -> Result<()> {
    let request = Request::new(Method::PUT, with_digest(session, digest))
        .header(CONTENT_TYPE, MediaType::OCTET_STREAM.as_str())
        .body(body)
        .wait(Wait::Commit);
    let response = answer::expect(repository.send(request).await?, &[200, 201, 204]).await?;
    if response.status().as_u16() == 201 {
        return Ok(());
    }
    confirm(repository, digest, response).await
}

/// An odd answer to a commit counts when the blob is there (PUSH.md U3).
async fn confirm(repository: &RemoteRepository, digest: &Digest, response: Response) -> Result<()> {
    let url = repository.endpoint().await?.blob(repository.name(), digest);
    let there = repository.send(Request::new(Method::HEAD, url)).await?;
    if there.status().as_u16() == 200 {
        return Ok(());
    }
    let message = format!("answered {}, but the blob is not there", response.status());
    Err(Error::new(ErrorKind::Rejected, message).target(response.endpoint()))
}

/// Whether a registry does not take a blob in one PUT, rather than not this blob or not from us.
fn refuses_whole(error: &Error) -> bool {
    const ABOUT_THE_BLOB: [&str; 7] = [
        "DIGEST_INVALID",
        "SIZE_INVALID",
        "NAME_INVALID",
        "NAME_UNKNOWN",
        "DENIED",
        "UNAUTHORIZED",
        "TOOMANYREQUESTS",
    ];
    let by_status = match error.status() {
        Some(501) => true,
        Some(status) => {
            (400..500).contains(&status) && !matches!(status, 401 | 403 | 408 | 413 | 429 | 499)
        }
        None => false,
    };
    let codes = error
        .diagnostic()
        .map(|diagnostic| diagnostic.errors.as_slice())
        .unwrap_or_default();
    by_status
        && !codes
            .iter()
            .any(|entry| ABOUT_THE_BLOB.contains(&entry.code.as_str()))
}

/// Where the registry says the session is.
fn location(response: &Response) -> Result<Url> {
    let Some(location) = response.header("location") else {
        let message = format!("answered {} without a Location", response.status());
        return Err(Error::new(ErrorKind::Rejected, message).target(response.endpoint()));
    };
    guard::follow(response.url(), response.url(), location)
        .map_err(|error| error.target(response.endpoint()))
}
