//! The repositories of a registry (distribution: "Listing Repositories"). Not every registry lists
//! them, and some list only those that the credentials may see.

use http::Method;
use wharf_oci::RepositoryName;

use super::pages::{self, ENTRIES, NextPage, Page};
use crate::api::RegistryApi;
use crate::auth::{Needed, ScopeSet};
use crate::transport::Request;
use wharf_core::{Error, ErrorKind, Result};

#[derive(serde::Deserialize)]
struct Listed {
    repositories: Option<Vec<String>>,
}

/// A page of repositories: the first one, or the next one that the registry named.
///
/// # Errors
/// [`ErrorKind::Unsupported`] if the registry lists none; what it says otherwise.
pub(crate) async fn page(api: &RegistryApi, at: Option<&NextPage>) -> Result<Page<RepositoryName>> {
    let url = match at {
        Some(next) => next.url().clone(),
        None => api.urls().await?.catalog(ENTRIES),
    };
    let request = Request::new(Method::GET, url.clone());
    let needed = Needed::exactly(Method::GET, ScopeSet::catalog());
    let response = api.send(None, needed, request).await?;
    let names = |listed: Listed| listed.repositories;
    let read = pages::read(response, &url, at, names).await;
    read.map_err(|error| match error.status() {
        Some(404 | 405 | 501) if at.is_none() => {
            let message = "the registry does not list its repositories";
            Error::new(ErrorKind::Unsupported, message).source(error)
        }
        _ => error,
    })
}
