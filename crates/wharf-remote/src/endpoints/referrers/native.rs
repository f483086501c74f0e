//! The registry's own list of referrers (distribution-spec: "Listing Referrers", end-12).

use std::collections::HashSet;
use std::convert::Infallible;

use http::Method;
use http::header::ACCEPT;
use url::Url;
use wharf_oci::{Descriptor, Digest, Index, MediaType};

use crate::answer;
use crate::api::Api;
use crate::endpoints::pages::{self, NextPage};
use crate::transport::{Request, Response};
use wharf_core::{Error, ErrorKind, Result};

/// The most pages of a list: some registries announce an empty next page for ever.
const PAGES: usize = 1000;

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
    let mut url = api.urls().await?.referrers(api.name(), subject);
    let mut seen = HashSet::from([url.clone()]);
    let (mut all, mut bytes) = (Vec::new(), 0);
    let mut at: Option<NextPage> = None;
    loop {
        let Some(response) = page(api, url.clone()).await? else {
            if at.is_none() {
                return Ok(None);
            }
            let message = "a page of the list of referrers is missing";
            return Err(Error::new(ErrorKind::Rejected, message).target(url.path()));
        };
        let endpoint = response.endpoint().to_owned();
        let invalid = |why: String| Err(Error::new(ErrorKind::Invalid, why).target(&endpoint));
        let entries = |index: Index| Ok::<_, Infallible>(index.manifests);
        let read = pages::read(response, &url, at.as_ref(), entries).await?;
        all.extend(read.items);
        bytes += read.bytes;
        if bytes > LIST {
            return invalid(format!("the list is longer than {LIST} bytes"));
        }
        let Some(next) = read.next else {
            return Ok(Some(all));
        };
        if seen.len() >= PAGES {
            return invalid(format!("more than {PAGES} pages of referrers"));
        }
        url = next.url().clone();
        // A list that leads back to one of its pages has ended.
        if !seen.insert(url.clone()) {
            return Ok(Some(all));
        }
        at = Some(next);
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
