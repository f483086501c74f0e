//! Puts manifests, under tags or by digest (distribution-spec: "Pushing Manifests").

use wharf_oci::{Algorithm, Digest, Manifest, Selector, Tag};

use super::manifests::{digest_header, look_up, put_request};
use super::referrers;
use crate::answer;
use crate::answer::is_html;
use crate::api::Api;
use crate::hosts::Optional;
use crate::transport::Response;
use wharf_core::{Error, ErrorKind, Result};

/// Tags of one request: the number that every registry with this feature must accept.
const TAGS_AT_ONCE: usize = 10;

/// Puts a manifest's exact bytes under `tags`, without tags under its digest; a referrer is then
/// found with its subject (wire.md F1, F2).
///
/// Several tags go in one request if the registry is known to accept that (distribution-spec
/// end-7b; wire.md O6), otherwise in one request each. With a digest that is not sha256, the
/// manifest is put by digest too: for a tag alone registries learn only its sha256.
///
/// Returns the digest under which the registry keeps the manifest, if it refuses the manifest's own.
pub(crate) async fn put(api: &Api, manifest: &Manifest, tags: &[Tag]) -> Result<Option<Digest>> {
    let mut left: Vec<&Tag> = tags.iter().collect();
    let mut other = None;
    match tags {
        [] => {
            put_at(api, manifest, Selector::Digest(manifest.digest().clone())).await?;
            return Ok(None);
        }
        _ if manifest.digest().algorithm() != Algorithm::Sha256 => {
            match Box::pin(put_with_tags(api, manifest, tags, &mut left)).await {
                Err(error) if is_refusal(&error) => other = Some(Digest::of(manifest.bytes())),
                done => done?,
            }
        }
        [_, _, ..] if api.host().takes(Optional::Tags) => {
            Box::pin(put_with_tags(api, manifest, tags, &mut left)).await?;
        }
        _ => {}
    }
    for tag in left {
        put_at(api, manifest, Selector::Tag(tag.clone())).await?;
    }
    Ok(other)
}

/// Puts a manifest by digest with `tags` in the query. Removes those from `left` that were set.
async fn put_with_tags(
    api: &Api,
    manifest: &Manifest,
    tags: &[Tag],
    left: &mut Vec<&Tag>,
) -> Result<()> {
    for some in tags.chunks(TAGS_AT_ONCE) {
        // A large future, for registries with an optional feature.
        let done = Box::pin(put_some(api, manifest, some)).await?;
        left.retain(|tag| !done.contains(tag));
    }
    Ok(())
}

/// Whether a registry may refuse a manifest because of its digest. A put by tag shows other reasons.
fn is_refusal(error: &Error) -> bool {
    let status = error.status();
    !error.is_transient() && status.is_some_and(|status| (400..500).contains(&status))
}

async fn put_at(api: &Api, manifest: &Manifest, at: Selector) -> Result<()> {
    let request = put_request(api, manifest, &at).await?;
    let response = api.send(request).await?;
    let response = accepted(api, manifest, &at, response).await?;
    referrers::register(api, manifest, &response).await
}

/// Puts a manifest with tags in the query. Returns the tags that the registry set.
async fn put_some(api: &Api, manifest: &Manifest, tags: &[Tag]) -> Result<Vec<Tag>> {
    let at = Selector::Digest(manifest.digest().clone());
    let request = put_request(api, manifest, &at).await?;
    let mut url = request.url().clone();
    url.query_pairs_mut()
        .extend_pairs(tags.iter().map(|tag| ("tag", tag.as_str())));
    let response = api.send(request.at(url)).await?;
    let response = accepted(api, manifest, &at, response).await?;
    referrers::register(api, manifest, &response).await?;
    let set = response.all("oci-tag").flat_map(|list| list.split(','));
    Ok(set.filter_map(|tag| tag.trim().parse().ok()).collect())
}

/// The answer, if it confirms the manifest. An odd success counts when the manifest is there
/// (wire.md section 11, rule 8).
async fn accepted(
    api: &Api,
    manifest: &Manifest,
    at: &Selector,
    response: Response,
) -> Result<Response> {
    let status = response.status().as_u16();
    // A login page accepts everything.
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
        _ if odd && !is_there(api, manifest, at).await? => {
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
async fn is_there(api: &Api, manifest: &Manifest, at: &Selector) -> Result<bool> {
    match look_up(api, at).await {
        Ok(there) => Ok(names(&there.digest, manifest)),
        // A web page with that status is not an answer of the registry.
        Err(error) if error.kind() == ErrorKind::NotFound && error.web_page().is_none() => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Whether it is the manifest's digest, by any algorithm: for a tag the registry answers with its
/// own.
fn names(digest: &Digest, manifest: &Manifest) -> bool {
    digest == manifest.digest() || *digest == Digest::of_with(digest.algorithm(), manifest.bytes())
}
