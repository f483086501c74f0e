//! What a client may do: the seam where access control answers.

use std::fmt::{self, Debug};

use async_trait::async_trait;
use http::HeaderMap;
use wharf_oci::RepositoryName;

/// Decides what the client of a request may do. A registry calls it before all other work.
#[async_trait]
pub trait Access: Debug + Send + Sync {
    /// Finds out from the headers which client sends a request.
    async fn caller(&self, headers: &HeaderMap) -> Caller;

    /// Decides whether a client may do this in a repository, which need not exist.
    fn may(&self, caller: &Caller, repository: &RepositoryName, action: Action) -> Decision;

    /// Whether a client may pull from every repository; if so, no repository is checked on its own.
    fn may_pull_all(&self, caller: &Caller) -> bool;
}

/// The client that sends a request, as access control knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Caller {
    /// It sent no credential.
    Anonymous,
    /// It sent the credential of this account.
    Account(String),
}

/// What is done in a repository, as scopes of tokens name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Reading content and lists.
    Pull,
    /// Writing blobs and manifests.
    Push,
    /// Deleting blobs, manifests and tags.
    Delete,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Action::Pull => "pull",
            Action::Push => "push",
            Action::Delete => "delete",
        })
    }
}

/// The answer to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The request is answered.
    Allowed,
    /// The request is refused.
    Denied,
}

/// Allows everything to every client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open;

#[async_trait]
impl Access for Open {
    async fn caller(&self, _headers: &HeaderMap) -> Caller {
        Caller::Anonymous
    }

    fn may(&self, _caller: &Caller, _repository: &RepositoryName, _action: Action) -> Decision {
        Decision::Allowed
    }

    fn may_pull_all(&self, _caller: &Caller) -> bool {
        true
    }
}
