//! Manifests and tags of a repository (distribution-spec: "Pulling manifests", "Pushing
//! manifests", "Content discovery").

use http::Method;
use http::header::{ACCEPT, CONTENT_TYPE};
use wharf_oci::{
    Descriptor, Digest, MAX_MANIFEST_SIZE, Manifest, MediaType, Selector, Tag, manifest_accept,
};

use super::answer::{self, Answered};
use super::explain::{self, Get};
use super::referrers;
use super::repository::RemoteRepository;
use super::transport::{Body, Kind, Request, Response, Wait};
use super::words::is_html;
use wharf_core::{Error, ErrorKind, Result};

/// Bytes of a page of tags.
const TAGS_PAGE: usize = 8 << 20;

/// What a tag or digest names. One HEAD; a GET where the registry's HEAD does not say enough.
pub(super) async fn resolve(repository: &RemoteRepository, at: &Selector) -> Result<Descriptor> {
    let response = ask(repository, Method::HEAD, at).await?;
    match response.status().as_u16() {
        200 => {
            if let Some(descriptor) = described(&response, at) {
                return Ok(descriptor);
            }
        }
        // HEAD is an optimisation: a registry that does not do it is asked in full.
        400 | 405 | 501 => {}
        404 => {
            let error = unknown(response, at).await;
            let get = get(repository, at).await?;
            return Err(explain::with_question(repository, error, get));
        }
        _ => {
            let get = get(repository, at).await?;
            return Err(explain::error(repository, response, get).await);
        }
    }
    let response = ask(repository, Method::GET, at).await?;
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
pub(super) async fn fetch(
    repository: &RemoteRepository,
    descriptor: &Descriptor,
) -> Result<Manifest> {
    let at = Selector::Digest(descriptor.digest.clone());
    let response = ask(repository, Method::GET, &at).await?;
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
pub(super) async fn fetch_at(repository: &RemoteRepository, at: &Selector) -> Result<Manifest> {
    read(ask(repository, Method::GET, at).await?, at).await
}

/// Whether a manifest of this digest is there. Some registries answer 403 where it is not; one
/// that names another digest of the same kind has something else there.
pub(super) async fn contains(
    repository: &RemoteRepository,
    descriptor: &Descriptor,
) -> Result<bool> {
    let at = Selector::Digest(descriptor.digest.clone());
    let response = ask(repository, Method::HEAD, &at).await?;
    match response.status().as_u16() {
        200 => {
            let other = |named: Digest| {
                named.algorithm() == descriptor.digest.algorithm() && named != descriptor.digest
            };
            Ok(!digest_header(&response).is_some_and(other))
        }
        403..=405 => Ok(false),
        _ => {
            let get = get(repository, &at).await?;
            let error = explain::error(repository, response, get).await;
            if error.is_transient() || error.kind() == ErrorKind::Unauthorized {
                Err(error)
            } else {
                Ok(false)
            }
        }
    }
}

/// Puts a manifest's exact bytes under a tag, or under its digest; a referrer is then found with
/// its subject (wire.md F1, F2).
pub(super) async fn put(
    repository: &RemoteRepository,
    manifest: &Manifest,
    tag: Option<&Tag>,
) -> Result<()> {
    let at = match tag {
        Some(tag) => Selector::Tag(tag.clone()),
        None => Selector::Digest(manifest.digest().clone()),
    };
    let request = put_request(repository, manifest, &at).await?;
    let response = repository.send(request).await?;
    let response = accepted(repository, manifest, &at, response).await?;
    referrers::register(repository, manifest, &response).await
}

/// Tags that one request carries: as many as every registry that takes several must take.
const TAGS_AT_ONCE: usize = 10;

/// Puts a manifest under several tags: in one request for some of them where the registry is
/// known to take that (distribution-spec end-7b; wire.md O6), one after the other elsewhere.
pub(super) async fn put_tags(
    repository: &RemoteRepository,
    manifest: &Manifest,
    tags: &[Tag],
) -> Result<()> {
    let mut left: Vec<&Tag> = tags.iter().collect();
    if repository.host().is_ours() {
        for some in tags.chunks(TAGS_AT_ONCE) {
            let done = put_some(repository, manifest, some).await?;
            left.retain(|tag| !done.contains(tag));
        }
    }
    for tag in left {
        put(repository, manifest, Some(tag)).await?;
    }
    Ok(())
}

/// Puts a manifest under tags that are part of the query; gives those that the registry set.
async fn put_some(
    repository: &RemoteRepository,
    manifest: &Manifest,
    tags: &[Tag],
) -> Result<Vec<Tag>> {
    let at = Selector::Digest(manifest.digest().clone());
    let request = put_request(repository, manifest, &at).await?;
    let mut url = request.url().clone();
    url.query_pairs_mut()
        .extend_pairs(tags.iter().map(|tag| ("tag", tag.as_str())));
    let response = repository.send(request.at(url)).await?;
    let response = accepted(repository, manifest, &at, response).await?;
    referrers::register(repository, manifest, &response).await?;
    let set = response.all("oci-tag").flat_map(|list| list.split(','));
    Ok(set.filter_map(|tag| tag.trim().parse().ok()).collect())
}

/// The request that puts a manifest's exact bytes somewhere.
pub(super) async fn put_request(
    repository: &RemoteRepository,
    manifest: &Manifest,
    at: &Selector,
) -> Result<Request> {
    let url = repository.endpoint().await?.manifest(repository.name(), at);
    Ok(Request::new(Method::PUT, url)
        .kind(Kind::Manifest)
        .header(CONTENT_TYPE, manifest.media_type().as_str())
        .body(Body::Bytes(manifest.bytes().clone()))
        .wait(Wait::Commit))
}

/// The answer, where it says that the manifest is in place. One that is odd, but a success, counts
/// when the manifest is there (wire.md section 11, rule 8).
async fn accepted(
    repository: &RemoteRepository,
    manifest: &Manifest,
    at: &Selector,
    response: Response,
) -> Result<Response> {
    let status = response.status().as_u16();
    // A login page takes everything.
    let page = status == 200 && is_html(response.header("content-type"));
    let odd = page || (response.status().is_success() && status > 202);
    let response = match odd {
        true => response,
        false => answer::expect(response, &[200, 201, 202]).await?,
    };
    match digest_header(&response) {
        Some(digest) if !names(&digest, manifest) => {
            Err(Error::digest_mismatch(manifest.digest(), &digest).target(response.endpoint()))
        }
        _ if odd && !is_there(repository, manifest, at).await? => {
            let message = format!(
                "answered {}, but the manifest is not there",
                response.status()
            );
            Err(Error::new(ErrorKind::Rejected, message).target(response.endpoint()))
        }
        _ => Ok(response),
    }
}

/// Whether `at` names the manifest.
async fn is_there(
    repository: &RemoteRepository,
    manifest: &Manifest,
    at: &Selector,
) -> Result<bool> {
    match resolve(repository, at).await {
        Ok(there) => Ok(names(&there.digest, manifest)),
        // A web page that says so is no word of the registry.
        Err(error) if error.kind() == ErrorKind::NotFound && error.web_page().is_none() => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Whether it is the manifest's digest, by whichever algorithm: what is put under a tag is named
/// by the registry's own.
fn names(digest: &Digest, manifest: &Manifest) -> bool {
    digest == manifest.digest() || *digest == Digest::of_with(digest.algorithm(), manifest.bytes())
}

/// A page of tags.
pub(super) async fn tags(
    repository: &RemoteRepository,
    after: Option<&Tag>,
    limit: usize,
) -> Result<Vec<Tag>> {
    #[derive(serde::Deserialize)]
    struct Page {
        tags: Option<Vec<String>>,
    }
    let url = repository
        .endpoint()
        .await?
        .tags(repository.name(), after, limit);
    let response = repository.send(Request::new(Method::GET, url)).await?;
    let response = answer::expect(response, &[200]).await?;
    let (endpoint, answered) = (response.endpoint().to_owned(), Answered::of(&response));
    let bytes = response.bytes(TAGS_PAGE).await?;
    if let Some(error) = answered.page(&bytes) {
        return Err(error);
    }
    let invalid = |error: String| Error::new(ErrorKind::Invalid, error).target(&endpoint);
    let page: Page = serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
    let tags = page.tags.unwrap_or_default().into_iter();
    tags.map(|tag| {
        tag.parse()
            .map_err(|error: wharf_oci::NameError| invalid(error.to_string()))
    })
    .collect()
}

/// What a tag or digest names, in full.
pub(super) async fn read_whole(repository: &RemoteRepository, at: &Selector) -> Result<Manifest> {
    let response = ask(repository, Method::GET, at).await?;
    read(response, at).await
}

async fn ask(repository: &RemoteRepository, method: Method, at: &Selector) -> Result<Response> {
    let url = repository.endpoint().await?.manifest(repository.name(), at);
    let request = Request::new(method, url).header(ACCEPT, manifest_accept());
    let request = match at {
        Selector::Tag(_) => request,
        Selector::Digest(_) => request.verified(),
    };
    repository.send(request).await
}

/// What to ask for when a HEAD fails.
async fn get(repository: &RemoteRepository, at: &Selector) -> Result<Get> {
    let url = repository.endpoint().await?.manifest(repository.name(), at);
    Ok(Get::Manifest(url))
}

/// What the headers of an answer to HEAD say, when they say all of it.
fn described(response: &Response, at: &Selector) -> Option<Descriptor> {
    let digest = digest_header(response)?;
    if matches!(at, Selector::Digest(wanted) if *wanted != digest) {
        return None;
    }
    let media_type = content_type(response).filter(MediaType::is_manifest)?;
    let size = response.header("content-length")?.parse().ok()?;
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
    Error::new(ErrorKind::NotFound, format!("no such {what}: {at}"))
        .answer(404, None)
        .asked_for(response.asked())
        .target(response.endpoint())
        .said(answer::error(response).await)
}

fn content_type(response: &Response) -> Option<MediaType> {
    MediaType::from_content_type(response.header("content-type")?).ok()
}

fn digest_header(response: &Response) -> Option<Digest> {
    response.header("docker-content-digest")?.parse().ok()
}
