//! What a user shows to a registry to be let in.

use std::fmt;

use async_trait::async_trait;
use wharf_oci::{Registry, RepositoryName};

use super::secret::Secret;
use wharf_core::Result;

/// One way to be let in.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credential {
    /// A user name and a password.
    Password {
        /// The user's name.
        username: String,
        /// The password, or an access token that is used like one.
        password: Secret,
    },
    /// A refresh token, for which a token server gives tokens (`identitytoken`).
    IdentityToken(Secret),
    /// A token that the registry itself takes (`registrytoken`).
    RegistryToken(Secret),
}

impl Credential {
    /// A user name and a password; the user name `<token>` says that the other is an identity
    /// token, as it does in what credential helpers print.
    pub fn password(username: impl Into<String>, password: Secret) -> Self {
        let username = username.into();
        if username == TOKEN_USER {
            return Credential::IdentityToken(password);
        }
        Credential::Password { username, password }
    }
}

/// The user name that stands before identity tokens.
pub(super) const TOKEN_USER: &str = "<token>";

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Credential::Password { .. } => "Password(…)",
            Credential::IdentityToken(_) => "IdentityToken(…)",
            Credential::RegistryToken(_) => "RegistryToken(…)",
        })
    }
}

/// A credential and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The credential.
    pub credential: Credential,
    /// The file or helper it is from, for messages, and the entry there, if that is for a part of the
    /// registry only; it holds no secret.
    pub source: String,
    /// That entry, as it is written there.
    pub entry: Option<String>,
}

/// Somebody who may know credentials for registries.
#[async_trait]
pub trait Credentials: fmt::Debug + Send + Sync {
    /// The credential for a repository, or for a registry as a whole; `None` where it knows none.
    ///
    /// # Errors
    /// Where credentials are kept that cannot be read: that is not the same as none.
    async fn find(
        &self,
        registry: &Registry,
        repository: Option<&RepositoryName>,
    ) -> Result<Option<Found>>;

    /// Where it looks, for messages.
    fn places(&self) -> Vec<String>;
}
