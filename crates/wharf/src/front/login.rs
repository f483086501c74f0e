//! Checks credentials, stores them, and hands them to other programs.

use std::sync::Arc;

use wharf_oci::{Registry, Repository, RepositoryName};

use super::Wharf;
use crate::credentials::{AuthFile, Credential, Given};
use crate::remote::{Access, Checked, Granted};
use crate::{Error, ErrorKind, Result};

/// The name, in messages, of the source of credentials that are being checked.
pub const THIS_LOGIN: &str = "this login";

/// The result of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedIn {
    /// The registry's answer to the credentials.
    pub checked: Checked,
    /// The file or helper that stores them.
    pub kept_in: String,
}

impl Wharf {
    /// Sends `credential`, and no other, to `registry`. Unless the registry refuses it, stores it
    /// in `file` or in the helper that the file names.
    ///
    /// ```no_run
    /// use wharf::credentials::{AuthFile, Credential, Helpers};
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let file = AuthFile::new("auth.json", &Helpers::default());
    /// let credential = Credential::password("me", "secret".into());
    /// let login = wharf.login(&"registry.example".parse()?, &credential, &file).await?;
    /// println!("kept in {}", login.kept_in);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if the user name has a colon, or name or password is empty;
    /// [`ErrorKind::Unauthorized`] if the registry refuses it; other errors of the request and of
    /// storing it.
    pub async fn login(
        &self,
        registry: &Registry,
        credential: &Credential,
        file: &AuthFile,
    ) -> Result<LoggedIn> {
        check(credential)?;
        let given = Given::new(registry.clone(), credential.clone(), THIS_LOGIN);
        let client = self.client().single_tries().showing(Arc::new(given));
        let checked = self.retry(|| client.check_credentials(registry)).await?;
        let kept_in = file.keep(registry, credential).await?;
        Ok(LoggedIn { checked, kept_in })
    }

    /// The authorization that another program needs for `repository`: a token that allows `access`,
    /// and mounts from the repositories `sources` of the same registry; or user name and password,
    /// if the registry requires those.
    ///
    /// # Errors
    /// As [`Client::authorization`](crate::remote::Client::authorization).
    pub async fn authorization(
        &self,
        repository: &Repository,
        access: Access,
        sources: &[RepositoryName],
    ) -> Result<Granted> {
        let client = self.client().single_tries();
        let ask = || client.authorization(repository, access, sources);
        self.retry(ask).await
    }
}

fn check(credential: &Credential) -> Result<()> {
    let invalid = |why: &str| Err(Error::new(ErrorKind::Invalid, why));
    match credential {
        // RFC 7617: the first colon ends the name.
        Credential::Password { username, .. } if username.contains(':') => {
            invalid("a user name cannot contain a colon")
        }
        Credential::Password { username, password }
            if username.is_empty() || password.is_empty() =>
        {
            invalid("user name and password must not be empty")
        }
        _ => Ok(()),
    }
}
