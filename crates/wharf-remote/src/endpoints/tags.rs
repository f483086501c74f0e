//! The tags of a repository (distribution-spec: "Listing Tags").

use http::Method;
use url::Url;
use wharf_oci::Tag;

use super::pages::{self, ENTRIES, NextPage, Page};
use crate::api::Api;
use crate::transport::Request;
use wharf_core::Result;

#[derive(serde::Deserialize)]
struct Listed {
    tags: Option<Vec<String>>,
}

/// At most `limit` tags, beginning after `after` if given.
pub(crate) async fn after(api: &Api, after: Option<&Tag>, limit: usize) -> Result<Vec<Tag>> {
    let url = api.urls().await?.tags(api.name(), after, limit);
    Ok(ask(api, url, None).await?.items)
}

/// A page of tags: the first one, or the next one that the registry named.
pub(crate) async fn page(api: &Api, at: Option<&NextPage>) -> Result<Page<Tag>> {
    let url = match at {
        Some(next) => next.url().clone(),
        None => api.urls().await?.tags(api.name(), None, ENTRIES),
    };
    ask(api, url, at).await
}

async fn ask(api: &Api, url: Url, at: Option<&NextPage>) -> Result<Page<Tag>> {
    let response = api.send(Request::new(Method::GET, url.clone())).await?;
    pages::read(response, &url, at, |listed: Listed| listed.tags).await
}
