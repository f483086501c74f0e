//! The registry's own list of referrers (distribution-spec: "Listing Referrers", end-12).

use std::collections::HashSet;

use http::Method;
use http::header::ACCEPT;
use serde::Deserialize;
use serde_json::Value;
use url::Url;
use wharf_oci::{Descriptor, Digest, Index, MediaType};

use crate::answer;
use crate::api::Api;
use crate::endpoints::pages::{NextPage, PageBody};
use crate::transport::{Request, Response};
use wharf_core::{Error, ErrorKind, Result};

/// The most pages of a list: some registries announce an empty next page for ever.
const PAGES: usize = 1000;

/// The most bytes of all pages of a list: some hundred thousand referrers.
const LIST: usize = 64 << 20;

/// Whether the registry has the API: it answers with an index that has `manifests`.
///
/// # Errors
/// If the answer is neither yes nor no.
pub(super) async fn is_there(api: &Api, subject: &Digest) -> Result<bool> {
    let url = api.urls().await?.referrers(api.name(), subject);
    let Some(response) = page(api, url.clone()).await? else {
        return Ok(false);
    };
    let body = PageBody::of(response, &url, None).await;
    match body {
        Ok(body) => Ok(is_list(&body.bytes)),
        Err(error) if error.web_page().is_some() => Ok(false),
        Err(error) => Err(error),
    }
}

/// All referrers of a subject; `None` if the registry has no such API.
///
/// # Errors
/// The registry's error; [`ErrorKind::Invalid`] if a later page is not a list, or the list has no
/// end.
pub(super) async fn list(api: &Api, subject: &Digest) -> Result<Option<Vec<Descriptor>>> {
    let mut url = api.urls().await?.referrers(api.name(), subject);
    let mut seen = HashSet::from([url.clone()]);
    let (mut all, mut bytes) = (Vec::new(), 0);
    let mut at: Option<NextPage> = None;
    loop {
        let Some(body) = body(api, &url, at.as_ref()).await? else {
            if at.is_none() {
                return Ok(None);
            }
            let message = "a page of the list of referrers is missing";
            return Err(Error::new(ErrorKind::Rejected, message).target(url.path()));
        };
        let endpoint = body.endpoint.clone();
        let invalid = |why: String| Err(Error::new(ErrorKind::Invalid, why).target(&endpoint));
        let index: Index = match serde_json::from_slice(&body.bytes) {
            Ok(index) => index,
            Err(error) => return invalid(error.to_string()),
        };
        all.extend(index.manifests);
        bytes += body.bytes.len();
        if bytes > LIST {
            return invalid(format!("the list is longer than {LIST} bytes"));
        }
        let Some(next) = body.next()? else {
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

/// The body of a page; `None` if there is no such API. A body that is no list counts as one where
/// the registry is known to have the API, and is an error then.
async fn body(api: &Api, url: &Url, at: Option<&NextPage>) -> Result<Option<PageBody>> {
    let Some(response) = page(api, url.clone()).await? else {
        return Ok(None);
    };
    let believed = api.host().lists_referrers() == Some(true);
    match PageBody::of(response, url, at).await {
        Ok(body) => Ok((believed || is_list(&body.bytes)).then_some(body)),
        Err(error) if !believed && error.web_page().is_some() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a document is an index with a list of manifests. Servers that have no such API answer
/// any path with some document.
fn is_list(document: &[u8]) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct List {
        schema_version: u32,
        manifests: Value,
    }
    let list: Result<List, _> = serde_json::from_slice(document);
    list.is_ok_and(|list| {
        list.schema_version == 2 && (list.manifests.is_array() || list.manifests.is_null())
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_a3_only_an_index_with_manifests_is_a_list() {
        for (document, expected) in [
            (r#"{"schemaVersion":2,"manifests":[]}"#, true),
            (r#"{"schemaVersion":2,"manifests":[{"x":1}],"a":{}}"#, true),
            // Registries in Go write an empty list so.
            (r#"{"schemaVersion":2,"manifests":null}"#, true),
            (r#"{"schemaVersion":2}"#, false),
            (r#"{"schemaVersion":1,"manifests":[]}"#, false),
            (r#"{"manifests":[]}"#, false),
            (r#"{"schemaVersion":2,"manifests":{}}"#, false),
            (r#"{"schemaVersion":2,"layers":[],"config":{}}"#, false),
            (r#"{"errors":[]}"#, false),
            ("[]", false),
            ("<html></html>", false),
            ("", false),
        ] {
            assert_eq!(is_list(document.as_bytes()), expected, "{document}");
        }
    }
}
