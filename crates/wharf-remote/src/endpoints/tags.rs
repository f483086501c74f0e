//! The tags of a repository (distribution-spec: "Listing Tags").

use http::Method;
use wharf_oci::Tag;

use crate::answer::{self, Answered};
use crate::api::Api;
use crate::transport::Request;
use wharf_core::{Error, ErrorKind, Result};

/// Bytes of a page.
const PAGE: usize = 8 << 20;

/// A page of tags.
pub(crate) async fn page(api: &Api, after: Option<&Tag>, limit: usize) -> Result<Vec<Tag>> {
    #[derive(serde::Deserialize)]
    struct Listed {
        tags: Option<Vec<String>>,
    }
    let url = api.urls().await?.tags(api.name(), after, limit);
    let response = api.send(Request::new(Method::GET, url)).await?;
    let response = answer::expect(response, &[200]).await?;
    let (endpoint, answered) = (response.endpoint().to_owned(), Answered::of(&response));
    let bytes = response.bytes(PAGE).await?;
    if let Some(error) = answered.page(&bytes) {
        return Err(error);
    }
    let invalid = |error: String| Error::new(ErrorKind::Invalid, error).target(&endpoint);
    let listed: Listed =
        serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
    let tags = listed.tags.unwrap_or_default().into_iter();
    tags.map(|tag| {
        tag.parse()
            .map_err(|error: wharf_oci::NameError| invalid(error.to_string()))
    })
    .collect()
}
