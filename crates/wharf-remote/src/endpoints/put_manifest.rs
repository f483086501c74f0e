//! Puts manifests, under tags or by digest (distribution-spec: "Pushing Manifests").

use wharf_oci::{Digest, Manifest, Selector, Tag};

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
/// end-7b; wire.md O6), otherwise in one request each.
pub(crate) async fn put(api: &Api, manifest: &Manifest, tags: &[Tag]) -> Result<()> {
    let mut left: Vec<&Tag> = tags.iter().collect();
    match tags {
        [] => return put_at(api, manifest, Selector::Digest(manifest.digest().clone())).await,
        [_, _, ..] if api.host().takes(Optional::Tags) => {
            for some in tags.chunks(TAGS_AT_ONCE) {
                let done = put_some(api, manifest, some).await?;
                left.retain(|tag| !done.contains(tag));
            }
        }
        _ => {}
    }
    for tag in left {
        put_at(api, manifest, Selector::Tag(tag.clone())).await?;
    }
    Ok(())
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
