//! Listing referrers. distribution-spec: "Listing Referrers".

use std::fmt::Write;

use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderName, LINK};
use serde_json::json;
use wharf_oci::{Digest, MediaType, RepositoryName};

use super::respond::{Answer, Code, Refusal, refuse, set, with_json};
use super::route::no_such_endpoint;
use crate::storage::ReferrersQuery;
use crate::{Referrers, Registry};

/// Every client accepts manifests of this size ("Pushing Manifests"), so a list is not longer. A
/// longer descriptor is a list by itself.
const MOST: u64 = 4 << 20;
/// The bytes around the descriptors.
const FRAME: u64 = 1 << 10;
const FILTERS: HeaderName = HeaderName::from_static("oci-filters-applied");

/// Lists the referrers of a subject. The subject and the repository may be absent.
pub(crate) async fn list(
    registry: &Registry,
    name: &RepositoryName,
    subject: Digest,
    artifact_type: Option<String>,
    after: Option<Digest>,
) -> Result<Answer, Box<Refusal>> {
    if registry.referrers == Referrers::Off {
        return Err(no_such_endpoint());
    }
    let query = ReferrersQuery {
        subject,
        artifact_type,
        after,
        most: MOST - FRAME,
    };
    let page = registry.storage.referrers(name, &query).await;
    let page = page.map_err(|error| refuse(error, Code::ManifestUnknown))?;
    let media_type = MediaType::OCI_IMAGE_INDEX;
    let mut answer = with_json(
        StatusCode::OK,
        &json!({
            "schemaVersion": 2,
            "mediaType": media_type.as_str(),
            "manifests": page.descriptors,
        }),
    );
    set(&mut answer, CONTENT_TYPE, media_type.as_str());
    if query.artifact_type.is_some() {
        set(&mut answer, FILTERS, "artifactType");
    }
    if let Some(last) = page.descriptors.last().filter(|_| page.more) {
        set(&mut answer, LINK, &next(name, &query, &last.digest));
    }
    Ok(answer)
}

fn next(name: &RepositoryName, query: &ReferrersQuery, last: &Digest) -> String {
    let mut url = format!("/v2/{name}/referrers/{}?last={last}", query.subject);
    if let Some(wanted) = &query.artifact_type {
        url.push_str("&artifactType=");
        for byte in wanted.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                url.push(char::from(byte));
            } else {
                // Writing to a string cannot fail.
                let _ = write!(url, "%{byte:02X}");
            }
        }
    }
    format!("<{url}>; rel=\"next\"")
}
