//! The list of referrers under a tag: read, written under conditions, deleted when empty
//! (distribution-spec: "Referrers Tag Schema"; wire.md F4).

use http::Method;
use http::header::{ACCEPT, IF_MATCH, IF_NONE_MATCH};
use wharf_oci::{Digest, MAX_MANIFEST_SIZE, MediaType, Selector, Tag};

use super::index::ReferrersIndex;
use crate::answer;
use crate::api::Api;
use crate::endpoints::manifests;
use crate::hosts::{Optional, says_takes};
use crate::transport::{LaneKind, Request};
use wharf_core::{Error, ErrorKind, Result};

/// What is under the tag.
pub(super) struct TagList {
    pub(super) index: ReferrersIndex,
    /// Its entity tag; `None` if there is no list, or the registry sends none.
    etag: Option<String>,
    /// The digest of its bytes; `None` if there is no list.
    digest: Option<Digest>,
}

impl TagList {
    /// Whether both have the same bytes, or neither is there.
    pub(super) fn is_same(&self, other: &TagList) -> bool {
        self.digest == other.digest
    }

    fn is_there(&self) -> bool {
        self.digest.is_some()
    }
}

/// Reads the list of `subject`; one that is not there is empty.
///
/// # Errors
/// The registry's error; [`ErrorKind::Invalid`] if something else is under the tag;
/// [`ErrorKind::Unsupported`] if the subject itself is, because the registry reads the tag as its
/// digest.
pub(super) async fn read(api: &Api, tag: &Tag, subject: &Digest) -> Result<TagList> {
    let url = api
        .urls()
        .await?
        .manifest(api.name(), &Selector::Tag(tag.clone()));
    let request =
        Request::new(Method::GET, url).header(ACCEPT, MediaType::OCI_IMAGE_INDEX.as_str());
    let response = api.send(request).await?;
    if response.status().as_u16() == 404 {
        return Ok(TagList {
            index: ReferrersIndex::empty(),
            etag: None,
            digest: None,
        });
    }
    let response = answer::expect(response, &[200]).await?;
    let endpoint = response.endpoint().to_owned();
    let etag = response.header("etag").map(str::to_owned);
    let limit = usize::try_from(MAX_MANIFEST_SIZE).unwrap_or(usize::MAX);
    let bytes = response.bytes(limit).await?;
    let digest = Digest::of_with(subject.algorithm(), &bytes);
    if digest == *subject {
        let message = "this registry cannot list referrers: it has no API for that, and takes the \
                       tag of the list for the digest of the subject; no list was written";
        return Err(Error::new(ErrorKind::Unsupported, message).target(endpoint));
    }
    let index = ReferrersIndex::parse(&bytes).map_err(|error| error.target(endpoint))?;
    Ok(TagList {
        index,
        etag,
        digest: Some(digest),
    })
}

/// What became of a write.
pub(super) enum Written {
    /// Written; the registry checked the condition.
    Decided,
    /// Written; the registry may have ignored the condition.
    Unsure,
    /// Not written: the list has changed meanwhile.
    Declined,
}

/// Writes `index` in place of the list that was `found`, under conditions.
pub(super) async fn write(
    api: &Api,
    tag: &Tag,
    index: &ReferrersIndex,
    found: &TagList,
) -> Result<Written> {
    let selector = Selector::Tag(tag.clone());
    if index.is_empty() && found.is_there() {
        match delete_tag(api, &selector, found.etag.as_deref()).await? {
            Deleted::Gone => return Ok(Written::Unsure),
            Deleted::Changed => return Ok(Written::Declined),
            Deleted::Refused => {}
        }
    }
    let manifest = index.manifest()?;
    let mut request = manifests::put_request(api, &manifest, &selector).await?;
    request = match &found.etag {
        Some(etag) => request.header(IF_MATCH, etag),
        None if !found.is_there() => request.header(IF_NONE_MATCH, "*"),
        None => request,
    };
    let response = api.send(request).await?;
    if response.status().as_u16() == 412 {
        return Ok(Written::Declined);
    }
    let response = answer::expect(response, &[200, 201, 202]).await?;
    // Without this header a registry may send an ETag and ignore conditions. Another answer of the
    // host proves nothing about this one.
    let checks = says_takes(&response, Optional::Conditions);
    let decided = checks && (found.etag.is_some() || !found.is_there());
    Ok(if decided {
        Written::Decided
    } else {
        Written::Unsure
    })
}

/// The result of deleting an empty list.
enum Deleted {
    Gone,
    /// It is not empty any more.
    Changed,
    /// The registry does not delete tags.
    Refused,
}

async fn delete_tag(api: &Api, tag: &Selector, etag: Option<&str>) -> Result<Deleted> {
    let url = api.urls().await?.manifest(api.name(), tag);
    let mut request = Request::new(Method::DELETE, url).lane(LaneKind::Manifest);
    if let Some(etag) = etag {
        request = request.header(IF_MATCH, etag);
    }
    let response = api.send(request).await?;
    match response.status().as_u16() {
        200 | 202 | 204 | 404 => Ok(Deleted::Gone),
        412 => Ok(Deleted::Changed),
        _ => {
            let error = answer::error(response).await;
            match error.is_transient() {
                true => Err(error),
                false => Ok(Deleted::Refused),
            }
        }
    }
}
