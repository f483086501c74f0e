//! The credentials of one request, and the context in which they are asked for.

use std::sync::Arc;

use url::Url;
use wharf_oci::RepositoryName;

use super::challenge::Challenge;
use super::lack::Shown;
use super::scope::ScopeSet;
use super::token_answer::Grant;
use crate::credentials::Secret;
use crate::transport::Transport;

/// The context of a request for a token.
#[derive(Clone, Copy)]
pub(crate) struct Asker<'a> {
    pub(crate) transport: &'a Transport,
    /// The root of the registry's API.
    pub(crate) root: &'a Url,
    /// `None`: the registry as a whole.
    pub(crate) name: Option<&'a RepositoryName>,
}

/// The credentials of a request.
pub(crate) struct Authorization {
    /// The value of the header.
    pub(crate) header: Secret,
    pub(super) challenge: Challenge,
    /// The token in it, if it can be renewed.
    pub(super) token: Option<Secret>,
    /// All that was granted with that token.
    pub(super) grant: Option<Arc<Grant>>,
    /// What the request needs.
    pub(super) scopes: ScopeSet,
    /// What the token was fetched for, which may be more.
    pub(super) allowed: ScopeSet,
    /// Whether its token was fetched for this request.
    pub(super) new: bool,
    pub(super) shown: Shown,
    /// The source of the credentials, for messages, and the entry if it is for a part of the
    /// registry.
    pub(super) source: Option<String>,
    pub(super) entry: Option<String>,
}
