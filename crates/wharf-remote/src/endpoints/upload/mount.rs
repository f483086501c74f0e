//! Mounts blobs from another repository instead of sending them (distribution-spec: "Mounting a
//! blob from another repository"; wire.md M1, M2, E4, E5).

use http::Method;
use wharf_oci::{Digest, Repository, RepositoryName};

use super::session::Session;
use crate::api::Api;
use crate::hosts::Optional;
use crate::transport::Request;
use wharf_core::blob::Blob;
use wharf_core::verify::blocking;

/// The result of asking for a mount.
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, and moved at once"
)]
pub(super) enum Asked {
    /// The registry has the blob in our repository now.
    Mounted,
    /// Not mounted; the registry opened a session instead.
    Opened(Session),
    /// There was no mount source, or the registry refused the request.
    Nothing,
}

/// A source for a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
enum From {
    /// A repository of the same registry that has it.
    Here(RepositoryName),
    /// A repository that probably has it, from memory (wire.md E4).
    Believed(RepositoryName),
    /// A repository of another registry, which the registry may know as well.
    Elsewhere(Repository),
    /// Any repository; the registry finds it.
    Anywhere,
}

/// Asks the registry to mount the blob, if there is a likely source.
pub(super) async fn ask(api: &Api, blob: &Blob) -> Asked {
    let (asking, of) = (api.clone(), blob.clone());
    // The first lookup may read the memory's file.
    let candidate = blocking(move || candidate(&asking, &of)).await;
    let Ok(Some(from)) = candidate else {
        return Asked::Nothing;
    };
    let (owned, digest) = (api.clone(), blob.descriptor().digest.clone());
    // Runs to its end even if the caller is dropped, because the answer may open a session.
    let asking = async move { ask_for(&owned, &digest, from).await };
    api.host().ready_to_open().await;
    let asked = api.host().janitor().see_through(asking).await;
    asked.unwrap_or(Asked::Nothing)
}

/// Whether a known repository of the registry probably has the blob.
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
    // A registry that does not mount may still accept the bytes (wire.md M2). Other errors show
    // when the blob is sent.
    let response = match api.send(Request::new(Method::POST, url)).await {
        Ok(response) => response,
        Err(error) => {
            tracing::debug!(%error, "not mounted");
            stop_if_refused(api, from, error.status());
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
        stop_if_refused(api, from, Some(status));
        return Asked::Nothing;
    }
    Session::opened(api, &response).map_or(Asked::Nothing, Asked::Opened)
}

/// Asks for no further blob of a source that the registry, or its token server, does not let this
/// client read (wire.md M2).
fn stop_if_refused(api: &Api, from: From, status: Option<u16>) {
    let here = api.repository().registry().clone();
    let source = match from {
        From::Here(name) | From::Believed(name) => Repository::new(here, name).ok(),
        From::Elsewhere(origin) => Some(origin),
        From::Anywhere => None,
    };
    if let (Some(401 | 403), Some(source)) = (status, source) {
        tracing::debug!(%source, "no more mounts from there");
        api.host().refused_mounts().add(api.name(), source);
    }
}

fn candidate(api: &Api, blob: &Blob) -> Option<From> {
    if !blob.may_be_mounted() {
        return None;
    }
    let (here, digest) = (api.repository(), &blob.descriptor().digest);
    let is_open = |source: &Repository| !api.host().refused_mounts().has(api.name(), source);
    let origin = blob.origin().filter(|origin| *origin != here);
    let origin = origin.filter(|origin| is_open(origin));
    let near = origin.filter(|origin| origin.registry() == here.registry());
    if let Some(near) = near {
        return Some(From::Here(near.name().clone()));
    }
    let believed = api.elsewhere(digest).filter(|name| {
        let source = Repository::new(here.registry().clone(), name.clone());
        source.is_ok_and(|source| is_open(&source))
    });
    if let Some(name) = believed {
        return Some(From::Believed(name));
    }
    // One large registry fails on `mount` alone, so only those known to accept it get it (wire.md
    // M1).
    if api.host().takes(Optional::AnyMount) {
        return Some(From::Anywhere);
    }
    if here.registry().is_docker_hub() {
        return None;
    }
    // Not for a local or private source, which means nothing to another registry. Nor for a
    // registry that was only seen once: its content is not disclosed to another registry.
    let known = |origin: &Repository| {
        let registry = origin.registry();
        !registry.is_local() && !registry.is_private()
    };
    origin.cloned().filter(known).map(From::Elsewhere)
}
