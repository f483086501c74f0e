//! Deletes tags and manifests (distribution-spec: "Deleting tags", "Deleting Manifests").

use http::Method;
use wharf_oci::{Digest, Selector};

use super::manifests;
use super::referrers;
use crate::answer;
use crate::api::Api;
use crate::transport::{LaneKind, Request};
use wharf_core::{Error, ErrorKind, Result};

/// Deletes a tag, or a manifest with all its tags. Removes a referrer from the list of its subject
/// (wire.md O9, F5).
///
/// # Errors
/// [`ErrorKind::NotFound`] if nothing has that name, [`ErrorKind::Unsupported`] if the registry
/// does not delete, and its other errors.
pub(crate) async fn delete(api: &Api, at: &Selector) -> Result<()> {
    let subject = match at {
        Selector::Tag(_) => None,
        Selector::Digest(digest) => subject(api, digest).await?,
    };
    let url = api.urls().await?.manifest(api.name(), at);
    let request = Request::new(Method::DELETE, url).lane(LaneKind::Manifest);
    match api.send(request).await {
        Ok(response) => {
            let done = answer::expect(response, &[200, 202, 204]).await;
            answer::no_page(done.map_err(|error| explained(error, at))?).await?;
        }
        // The answer was lost, and the next try could not find the subject any more.
        Err(error) if subject.is_none() || is_there(api, at).await? => return Err(error),
        Err(_) => {}
    }
    match (subject, at) {
        (Some(subject), Selector::Digest(digest)) => {
            let gone = referrers::unregister(api, &subject, digest).await;
            gone.map_err(|error| {
                let what = format!("it is deleted, but still listed as a referrer of {subject}");
                error.target(what)
            })
        }
        _ => Ok(()),
    }
}

/// The subject of a manifest that will be deleted. A manifest that cannot be read counts as one
/// without a subject.
async fn subject(api: &Api, digest: &Digest) -> Result<Option<Digest>> {
    let at = Selector::Digest(digest.clone());
    match manifests::fetch_at(api, &at).await {
        Ok(manifest) => Ok(manifest.subject().map(|subject| subject.digest.clone())),
        Err(error) if error.is_transient() || error.kind() == ErrorKind::NotFound => Err(error),
        Err(error) => {
            tracing::debug!(%error, "subject not known");
            Ok(None)
        }
    }
}

async fn is_there(api: &Api, at: &Selector) -> Result<bool> {
    match manifests::look_up(api, at).await {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn explained(error: Error, at: &Selector) -> Error {
    let codes = error.diagnostic().map(|diagnostic| &diagnostic.errors);
    let unsupported = |code: &str| code == "UNSUPPORTED";
    let refused = matches!(error.status(), Some(405 | 501))
        || codes.is_some_and(|codes| codes.iter().any(|entry| unsupported(&entry.code)));
    match at {
        Selector::Tag(_) if refused || error.status() == Some(400) => {
            let message = "the registry does not delete tags; delete the manifest, with all its \
                           tags, by its digest";
            Error::new(ErrorKind::Unsupported, message).source(error)
        }
        Selector::Digest(_) if refused => {
            let message = "the registry does not delete manifests";
            Error::new(ErrorKind::Unsupported, message).source(error)
        }
        _ => error,
    }
}
