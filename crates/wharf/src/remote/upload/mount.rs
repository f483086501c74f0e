//! Blobs that a registry links from another repository, instead of having them sent again
//! (distribution-spec: "Mounting a blob from another repository"; PUSH.md M1, M2, E4, E5).

use http::Method;
use wharf_oci::Repository;

use super::super::repository::RemoteRepository;
use super::super::transport::Request;
use super::session::Session;
use crate::blob::Blob;

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
    /// A repository of the same registry; `hint`: believed only, from memory.
    Here { name: String, hint: bool },
    /// A repository of another registry, which the registry may know as well.
    Elsewhere { name: String, registry: String },
    /// Wherever the registry finds it.
    Anywhere,
}

/// Has the registry mount the blob, where there is reason to believe that it can.
pub(super) async fn ask(repository: &RemoteRepository, blob: &Blob) -> Asked {
    let Some(from) = candidate(repository, blob) else {
        return Asked::Nothing;
    };
    let digest = &blob.descriptor().digest;
    let mut pairs = vec![("mount", digest.to_string())];
    match &from {
        From::Here { name, .. } => pairs.push(("from", name.clone())),
        From::Elsewhere { name, registry } => {
            pairs.extend([("from", name.clone()), ("origin", registry.clone())]);
        }
        From::Anywhere => {}
    }
    let Ok(endpoint) = repository.endpoint().await else {
        return Asked::Nothing;
    };
    let url = endpoint.mount(repository.name(), &pairs);
    // A registry that cannot or will not mount may still take the bytes (PUSH.md M2): whatever
    // else goes wrong will be seen when the blob is sent.
    let response = match repository.send(Request::new(Method::POST, url)).await {
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
    if let From::Here { name, hint: true } = &from {
        repository.forget_elsewhere(name, digest);
    }
    if status != 202 {
        return Asked::Nothing;
    }
    Session::opened(repository, &response).map_or(Asked::Nothing, Asked::Opened)
}

fn candidate(repository: &RemoteRepository, blob: &Blob) -> Option<From> {
    let here = repository.repository();
    let origin = blob.origin().filter(|origin| *origin != here);
    let near = origin.filter(|origin| origin.registry() == here.registry());
    if let Some(near) = near {
        return Some(From::Here {
            name: near.name().to_string(),
            hint: false,
        });
    }
    if let Some(name) = repository.elsewhere(&blob.descriptor().digest) {
        return Some(From::Here {
            name: name.to_string(),
            hint: true,
        });
    }
    // One large registry fails on `mount` alone (PUSH.md M1): only those known to take it.
    if repository.host().finds_blobs() {
        return Some(From::Anywhere);
    }
    origin.and_then(|origin| far(here, origin))
}

/// The origin in another registry, for destinations that may know that one.
fn far(here: &Repository, origin: &Repository) -> Option<From> {
    if here.registry().is_docker_hub() {
        return None;
    }
    Some(From::Elsewhere {
        name: origin.name().to_string(),
        registry: origin.registry().to_string(),
    })
}
