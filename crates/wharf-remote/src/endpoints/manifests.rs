//! Reads and checks manifests of a repository (distribution-spec: "Pulling manifests").

use http::Method;
use http::header::{ACCEPT, CONTENT_TYPE, WWW_AUTHENTICATE};
use wharf_oci::{
    Descriptor, Digest, MAX_MANIFEST_SIZE, Manifest, MediaType, Selector, digits, manifest_accept,
};

use super::explain::{self, Get};
use crate::answer::{self, Answered};
use crate::api::Api;
use crate::transport::{Body, LaneKind, Request, Response, Wait};
use wharf_core::{Error, ErrorKind, Result};

/// The descriptor that a tag or digest names. One HEAD; a GET if the answer to HEAD is incomplete,
/// or says nothing (wire.md section 11, rule 7). Of a repository that is written to a refused HEAD
/// is the answer: the upload decides.
pub(crate) async fn resolve(api: &Api, at: &Selector) -> Result<Descriptor> {
    let url = api.urls().await?.manifest(api.name(), at);
    if api.host().heads().are_given_up(&url) {
        return described_by_get(ask(api, Method::GET, at).await?, at).await;
    }
    let response = ask(api, Method::HEAD, at).await?;
    match response.status().as_u16() {
        200 => {
            if let Some(descriptor) = described(&response, at) {
                return Ok(descriptor);
            }
        }
        400 | 405 | 501 => {}
        404 => {
            let error = unknown(response, at).await;
            return Err(explain::with_question(api, error, Get::Manifest(url)));
        }
        _ if is_bare(&response) => {}
        _ => {
            let error = explain::error(api, response, Get::Manifest(url)).await;
            // Credentials that were refused stay refused.
            let is_final = api.is_written() || error.kind() == ErrorKind::Unauthorized;
            if error.is_transient() || is_final {
                return Err(error);
            }
            return after_refusal(api, at, error).await;
        }
    }
    described_by_get(ask(api, Method::GET, at).await?, at).await
}

/// The same, for a decision that must not be left to an upload.
pub(crate) async fn look_up(api: &Api, at: &Selector) -> Result<Descriptor> {
    match resolve(api, at).await {
        Err(error) if error.kind() != ErrorKind::NotFound && !error.is_transient() => {
            after_refusal(api, at, error).await
        }
        resolved => resolved,
    }
}

/// What a GET says after a HEAD was refused with `error`.
async fn after_refusal(api: &Api, at: &Selector, error: Error) -> Result<Descriptor> {
    let request = request(api, Method::GET, at).await?;
    // A refusal of credentials was answered already.
    let asked = match error.status() {
        Some(401) => api.send_once(request).await,
        _ => api.send(request).await,
    };
    match asked {
        Ok(response) if Some(response.status().as_u16()) == error.status() => {
            Err(error.said(answer::error(response).await).unquestioned())
        }
        Ok(response) => described_by_get(response, at).await,
        Err(_) => Err(error.unquestioned()),
    }
}

async fn described_by_get(response: Response, at: &Selector) -> Result<Descriptor> {
    let endpoint = response.endpoint().to_owned();
    let manifest = read(response, at).await?;
    if let Selector::Digest(digest) = at
        && manifest.digest() != digest
    {
        return Err(Error::digest_mismatch(digest, manifest.digest()).target(endpoint));
    }
    Ok(manifest.descriptor().clone())
}

/// Whether an answer refuses without saying which credentials would help: it says nothing.
fn is_bare(response: &Response) -> bool {
    response.status().as_u16() == 401 && response.header(WWW_AUTHENTICATE.as_str()).is_none()
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
/// An answer with another digest of the same algorithm means absent, and so does one that says
/// nothing (wire.md section 11, rule 7).
pub(crate) async fn contains(api: &Api, descriptor: &Descriptor) -> Result<bool> {
    let at = Selector::Digest(descriptor.digest.clone());
    let url = api.urls().await?.manifest(api.name(), &at);
    if api.host().heads().are_given_up(&url) {
        return Ok(false);
    }
    let response = ask(api, Method::HEAD, &at).await?;
    match response.status().as_u16() {
        200 => {
            let digest = &descriptor.digest;
            Ok(match digest_header(&response) {
                Some(named) if named.algorithm() == digest.algorithm() => named == *digest,
                Some(_) => true,
                // Proxies and login pages answer anything.
                None => !answer::is_html(response.header("content-type")),
            })
        }
        403..=405 => Ok(false),
        _ if is_bare(&response) => Ok(false),
        _ => {
            let error = explain::error(api, response, Get::Manifest(url)).await;
            if error.is_transient() || error.kind() == ErrorKind::Unauthorized {
                Err(error)
            } else {
                Ok(false)
            }
        }
    }
}

/// Whether a manifest is known not to be there.
///
/// # Errors
/// If the answer may change a moment later.
pub(crate) async fn is_gone(api: &Api, digest: &Digest) -> Result<bool> {
    match look_up(api, &Selector::Digest(digest.clone())).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) if error.is_transient() => Err(error),
        Ok(_) | Err(_) => Ok(false),
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
    let request = request(api, method, at).await?;
    api.send(request).await
}

async fn request(api: &Api, method: Method, at: &Selector) -> Result<Request> {
    let url = api.urls().await?.manifest(api.name(), at);
    let request = Request::new(method, url).header(ACCEPT, manifest_accept());
    Ok(match at {
        Selector::Tag(_) => request,
        Selector::Digest(_) => request.verified(),
    })
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
