//! Credentials for a registry.

use std::fmt;

use async_trait::async_trait;
use wharf_oci::{Registry, RepositoryName};

use super::secret::Secret;
use wharf_core::Result;

/// A credential, by kind.
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
    /// A refresh token, which a token server exchanges for tokens (`identitytoken`).
    IdentityToken(Secret),
    /// A token for the registry itself (`registrytoken`).
    RegistryToken(Secret),
}

impl Credential {
    /// A user name and a password. With the user name `<token>` the password is an identity token,
    /// as in the output of credential helpers.
    pub fn password(username: impl Into<String>, password: Secret) -> Self {
        let username = username.into();
        if username == TOKEN_USER {
            return Credential::IdentityToken(password);
        }
        Credential::Password { username, password }
    }
}

/// The user name of identity tokens.
pub(crate) const TOKEN_USER: &str = "<token>";

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
    /// The file or helper it is from, for messages, with the entry there if that is for a part of
    /// the registry only. Holds no secret.
    pub source: String,
    /// That entry, as written there.
    pub entry: Option<String>,
}

/// A source of credentials for registries.
#[async_trait]
pub trait Credentials: fmt::Debug + Send + Sync {
    /// The credential for a repository, or for a whole registry; `None` if there is none.
    ///
    /// # Errors
    /// If there may be credentials that cannot be read, and there are no others. A client then works
    /// without, and fails with this error only if the registry requires some.
    async fn find(
        &self,
        registry: &Registry,
        repository: Option<&RepositoryName>,
    ) -> Result<Option<Found>>;

    /// The places where it looks, for messages.
    fn places(&self) -> Vec<String>;
}
