//! The registry's own list of referrers (distribution-spec: "Listing Referrers", end-12).

use std::collections::HashSet;

use http::Method;
use http::header::ACCEPT;
use url::Url;
use wharf_oci::{Descriptor, Digest, Index, MediaType};

use crate::answer;
use crate::api::Api;
use crate::endpoints::link_header;
use crate::transport::{Request, Response, follow};
use wharf_core::{Error, ErrorKind, Result};

/// The most pages of a list: some registries announce an empty next page for ever.
const PAGES: usize = 1000;

/// Bytes of a page.
const PAGE: usize = 8 << 20;

/// The most bytes of all pages of a list: some hundred thousand referrers.
const LIST: usize = 64 << 20;

/// Whether the registry has the API.
///
/// # Errors
/// If the answer is neither yes nor no.
pub(super) async fn is_there(api: &Api, subject: &Digest) -> Result<bool> {
    let url = api.urls().await?.referrers(api.name(), subject);
    Ok(page(api, url).await?.is_some())
}

/// All referrers of a subject; `None` if the registry has no such API.
///
/// # Errors
/// The registry's error; [`ErrorKind::Invalid`] if its answer is not a list, or has no end.
pub(super) async fn list(api: &Api, subject: &Digest) -> Result<Option<Vec<Descriptor>>> {
    let first = api.urls().await?.referrers(api.name(), subject);
    let (mut url, mut seen) = (first.clone(), HashSet::new());
    let (mut all, mut read): (Vec<Descriptor>, usize) = (Vec::new(), 0);
    loop {
        let Some(response) = page(api, url.clone()).await? else {
            if url == first {
                return Ok(None);
            }
            let message = "a page of the list of referrers is not there";
            return Err(Error::new(ErrorKind::Rejected, message).target(url.path()));
        };
        let endpoint = response.endpoint().to_owned();
        let next = response
            .header("link")
            .and_then(link_header::next)
            .map(str::to_owned);
        let bytes = response.bytes(PAGE).await?;
        let invalid = |why: String| Error::new(ErrorKind::Invalid, why).target(&endpoint);
        read += bytes.len();
        if read > LIST {
            return Err(invalid(format!("the list is longer than {LIST} bytes")));
        }
        let index: Index =
            serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
        all.extend(index.manifests);
        let Some(next) = next else {
            return Ok(Some(all));
        };
        seen.insert(url.clone());
        if seen.len() >= PAGES {
            return Err(invalid(format!("more than {PAGES} pages of referrers")));
        }
        let following = follow(&url, &next).map_err(|error| error.target(&endpoint))?;
        if following.origin() != first.origin() {
            return Err(invalid("the next page is on another host".to_owned()));
        }
        if seen.contains(&following) {
            return Ok(Some(all));
        }
        url = following;
    }
}

/// A page; `None` if there is no such API.
async fn page(api: &Api, url: Url) -> Result<Option<Response>> {
    let request =
        Request::new(Method::GET, url).header(ACCEPT, MediaType::OCI_IMAGE_INDEX.as_str());
    let response = api.send(request).await?;
    match response.status().as_u16() {
        200 => {
            let kind = response.header("content-type");
            let kind = kind.and_then(|kind| MediaType::from_content_type(kind).ok());
            // Some servers answer any path with a web page.
            Ok((kind == Some(MediaType::OCI_IMAGE_INDEX)).then_some(response))
        }
        400 | 404 | 405 | 406 | 501 => Ok(None),
        _ => answer::expect(response, &[200]).await.map(Some),
    }
}
