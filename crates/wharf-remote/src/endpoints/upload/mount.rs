//! Blobs that a registry links from another repository, instead of having them sent again
//! (distribution-spec: "Mounting a blob from another repository"; wire.md M1, M2, E4, E5).

use http::Method;
use wharf_oci::{Digest, Repository, RepositoryName};

use super::session::Session;
use crate::api::Api;
use crate::transport::Request;
use wharf_core::blob::Blob;
use wharf_core::verify::blocking;

/// What came of asking for a mount.
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, and moved at once"
)]
pub(super) enum Asked {
    /// The registry has the blob in our repository now.
    Mounted,
    /// It has not, but opened a session for it.
    Opened(Session),
    /// There was nothing to ask for, or the registry could not make sense of it.
    Nothing,
}

/// Where a mount may come from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum From {
    /// A repository of the same registry that has it.
    Here(RepositoryName),
    /// One that is believed to have it, from memory (wire.md E4).
    Believed(RepositoryName),
    /// A repository of another registry, which the registry may know as well.
    Elsewhere(Repository),
    /// Wherever the registry finds it.
    Anywhere,
}

/// Has the registry mount the blob, where there is reason to believe that it can.
pub(super) async fn ask(api: &Api, blob: &Blob) -> Asked {
    let (asking, of) = (api.clone(), blob.clone());
    // The first question may read what is remembered from a file.
    let candidate = blocking(move || candidate(&asking, &of)).await;
    let Ok(Some(from)) = candidate else {
        return Asked::Nothing;
    };
    let (owned, digest) = (api.clone(), blob.descriptor().digest.clone());
    // A session that the answer opens is to be ended, should nobody wait for it any more.
    let asking = async move { ask_for(&owned, &digest, from).await };
    api.host().ready_to_open().await;
    let asked = api.host().janitor().see_through(asking).await;
    asked.unwrap_or(Asked::Nothing)
}

/// Whether a certain repository of the registry is believed to have the blob.
pub(super) async fn is_believed(api: &Api, blob: &Blob) -> bool {
    let (asking, of) = (api.clone(), blob.clone());
    let candidate = blocking(move || candidate(&asking, &of)).await;
    matches!(candidate, Ok(Some(From::Here(_) | From::Believed(_))))
}

async fn ask_for(api: &Api, digest: &Digest, from: From) -> Asked {
    let mut pairs = vec![("mount", digest.to_string())];
    match &from {
        From::Here(name) | From::Believed(name) => pairs.push(("from", name.to_string())),
        From::Elsewhere(origin) => {
            pairs.push(("from", origin.name().to_string()));
            pairs.push(("origin", origin.registry().to_string()));
        }
        From::Anywhere => {}
    }
    let Ok(endpoint) = api.urls().await else {
        return Asked::Nothing;
    };
    let url = endpoint.mount(api.name(), &pairs);
    // A registry that cannot or will not mount may still take the bytes (wire.md M2): whatever
    // else goes wrong will be seen when the blob is sent.
    let response = match api.send(Request::new(Method::POST, url)).await {
        Ok(response) => response,
        Err(error) => {
            tracing::debug!(%error, "not mounted");
            return Asked::Nothing;
        }
    };
    let status = response.status().as_u16();
    if status == 201 {
        return Asked::Mounted;
    }
    tracing::debug!(status, ?from, "not mounted");
    if let From::Believed(name) = &from {
        api.forget(name, digest);
    }
    if status != 202 {
        return Asked::Nothing;
    }
    Session::opened(api, &response).map_or(Asked::Nothing, Asked::Opened)
}

fn candidate(api: &Api, blob: &Blob) -> Option<From> {
    let (here, digest) = (api.repository(), &blob.descriptor().digest);
    let origin = blob.origin().filter(|origin| *origin != here);
    let near = origin.filter(|origin| origin.registry() == here.registry());
    if let Some(near) = near {
        return Some(From::Here(near.name().clone()));
    }
    if let Some(name) = api.elsewhere(digest) {
        return Some(From::Believed(name));
    }
    // One large registry fails on `mount` alone (wire.md M1): only those known to take it.
    if api.host().finds_blobs() {
        return Some(From::Anywhere);
    }
    if here.registry().is_docker_hub() {
        return None;
    }
    // One that is private to this machine or network means nothing to another registry. Nor is a
    // registry told of others that were only seen once: what they hold is not its business.
    let known = |origin: &Repository| {
        let registry = origin.registry();
        !registry.is_local() && !registry.is_private()
    };
    origin.cloned().filter(known).map(From::Elsewhere)
}
