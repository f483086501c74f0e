//! Reads and checks manifests of a repository (distribution-spec: "Pulling manifests").

use http::Method;
use http::header::{ACCEPT, CONTENT_TYPE};
use wharf_oci::{
    Descriptor, Digest, MAX_MANIFEST_SIZE, Manifest, MediaType, Selector, digits, manifest_accept,
};

use super::explain::{self, Get};
use crate::answer::{self, Answered};
use crate::api::Api;
use crate::transport::{Body, LaneKind, Request, Response, Wait};
use wharf_core::{Error, ErrorKind, Result};

/// The descriptor that a tag or digest names. One HEAD; a GET if the answer to HEAD is incomplete.
pub(crate) async fn resolve(api: &Api, at: &Selector) -> Result<Descriptor> {
    let response = ask(api, Method::HEAD, at).await?;
    match response.status().as_u16() {
        200 => {
            if let Some(descriptor) = described(&response, at) {
                return Ok(descriptor);
            }
        }
        // HEAD is an optimisation: without it a GET follows.
        400 | 405 | 501 => {}
        404 => {
            let error = unknown(response, at).await;
            let get = get(api, at).await?;
            return Err(explain::with_question(api, error, get));
        }
        _ => {
            let get = get(api, at).await?;
            return Err(explain::error(api, response, get).await);
        }
    }
    let response = ask(api, Method::GET, at).await?;
    let endpoint = response.endpoint().to_owned();
    let manifest = read(response, at).await?;
    if let Selector::Digest(digest) = at
        && manifest.digest() != digest
    {
        return Err(Error::digest_mismatch(digest, manifest.digest()).target(endpoint));
    }
    Ok(manifest.descriptor().clone())
}

/// The manifest that `descriptor` names, checked against its digest.
pub(crate) async fn fetch(api: &Api, descriptor: &Descriptor) -> Result<Manifest> {
    let at = Selector::Digest(descriptor.digest.clone());
    let response = ask(api, Method::GET, &at).await?;
    let (endpoint, answered) = (response.endpoint().to_owned(), Answered::of(&response));
    let media_type = content_type(&response);
    let bytes = body(response, &at).await?;
    if let Some(error) = answered.page(&bytes) {
        return Err(error);
    }
    Manifest::parse_as(media_type.as_ref(), bytes, &descriptor.digest)
        .map_err(|error| Error::new(ErrorKind::Corrupt, error.to_string()).target(endpoint))
}

/// The manifest that a tag or digest names, with one request.
pub(crate) async fn fetch_at(api: &Api, at: &Selector) -> Result<Manifest> {
    read(ask(api, Method::GET, at).await?, at).await
}

/// Whether a manifest of this digest is there. Some registries answer 403 for an absent manifest.
/// An answer with another digest of the same algorithm means absent.
pub(crate) async fn contains(api: &Api, descriptor: &Descriptor) -> Result<bool> {
    let at = Selector::Digest(descriptor.digest.clone());
    let response = ask(api, Method::HEAD, &at).await?;
    match response.status().as_u16() {
        200 => {
            let other = |named: Digest| {
                named.algorithm() == descriptor.digest.algorithm() && named != descriptor.digest
            };
            Ok(!digest_header(&response).is_some_and(other))
        }
        403..=405 => Ok(false),
        _ => {
            let get = get(api, &at).await?;
            let error = explain::error(api, response, get).await;
            if error.is_transient() || error.kind() == ErrorKind::Unauthorized {
                Err(error)
            } else {
                Ok(false)
            }
        }
    }
}

/// The request that puts a manifest's exact bytes.
pub(crate) async fn put_request(api: &Api, manifest: &Manifest, at: &Selector) -> Result<Request> {
    let url = api.urls().await?.manifest(api.name(), at);
    Ok(Request::new(Method::PUT, url)
        .lane(LaneKind::Manifest)
        .header(CONTENT_TYPE, manifest.media_type().as_str())
        .body(Body::Bytes(manifest.bytes().clone()))
        .wait(Wait::Commit))
}

async fn ask(api: &Api, method: Method, at: &Selector) -> Result<Response> {
    let url = api.urls().await?.manifest(api.name(), at);
    let request = Request::new(method, url).header(ACCEPT, manifest_accept());
    let request = match at {
        Selector::Tag(_) => request,
        Selector::Digest(_) => request.verified(),
    };
    api.send(request).await
}

/// The GET to send if a HEAD fails.
async fn get(api: &Api, at: &Selector) -> Result<Get> {
    let url = api.urls().await?.manifest(api.name(), at);
    Ok(Get::Manifest(url))
}

/// The descriptor from the headers of an answer to HEAD, if they are complete.
fn described(response: &Response, at: &Selector) -> Option<Descriptor> {
    let digest = digest_header(response)?;
    if matches!(at, Selector::Digest(wanted) if *wanted != digest) {
        return None;
    }
    let media_type = content_type(response).filter(MediaType::is_manifest)?;
    let size = digits(response.header("content-length")?)?;
    Some(Descriptor::new(media_type, digest, size))
}

async fn read(response: Response, at: &Selector) -> Result<Manifest> {
    let (endpoint, answered) = (response.endpoint().to_owned(), Answered::of(&response));
    let (media_type, status) = (content_type(&response), response.status().as_u16());
    let bytes = body(response, at).await?;
    if let Some(error) = answered.page(&bytes) {
        return Err(error);
    }
    let parsed = match at {
        Selector::Digest(digest) => Manifest::parse_as(media_type.as_ref(), bytes, digest),
        Selector::Tag(_) => Manifest::parse(media_type.as_ref(), bytes),
    };
    parsed.map_err(|error| Error::from(error).answer(status, None).target(endpoint))
}

async fn body(response: Response, at: &Selector) -> Result<bytes::Bytes> {
    if response.status().as_u16() == 404 {
        return Err(unknown(response, at).await);
    }
    let limit = usize::try_from(MAX_MANIFEST_SIZE).unwrap_or(usize::MAX);
    answer::expect(response, &[200]).await?.bytes(limit).await
}

async fn unknown(response: Response, at: &Selector) -> Error {
    let what = match at {
        Selector::Tag(_) => "tag",
        Selector::Digest(_) => "manifest",
    };
    Error::new(ErrorKind::NotFound, format!("no {what} {at}"))
        .answer(404, None)
        .absent()
        .asked_for(response.asked())
        .target(response.endpoint())
        .said(answer::error(response).await)
}

fn content_type(response: &Response) -> Option<MediaType> {
    MediaType::from_content_type(response.header("content-type")?).ok()
}

pub(crate) fn digest_header(response: &Response) -> Option<Digest> {
    response.header("docker-content-digest")?.parse().ok()
}
