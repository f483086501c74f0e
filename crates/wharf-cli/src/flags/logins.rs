//! Where credentials are read from: flags and a variable first, then the files of other tools.

use std::path::PathBuf;
use std::sync::Arc;

use wharf::credentials::{
    AuthFile, Chain, Credential, Credentials, CredentialsObserver, Given, Helpers, Secret,
};
use wharf::{Error, ErrorKind, Result};
use wharf_oci::Registry;

use crate::env::{self, LOGINS};

/// The flag for credentials.
pub(crate) const FLAG: &str = "--creds";

/// Flags about credentials, of every command.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Credentials")]
pub(super) struct LoginArgs {
    /// Credentials for one host and this run; other users see them in the list of processes (also:
    /// WHARF_AUTH, one line per host)
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_name = "HOST=USER:PASSWORD"
    )]
    creds: Vec<Hidden>,
    /// Read credentials from this file only, and write logins to it
    #[arg(
        long,
        visible_alias = "authfile",
        global = true,
        hide_short_help = true
    )]
    #[arg(value_name = "FILE")]
    auth_file: Option<PathBuf>,
}

/// A value that is never printed.
#[derive(Clone)]
pub(crate) struct Hidden(pub(crate) Secret);

impl From<&str> for Hidden {
    fn from(text: &str) -> Self {
        Hidden(text.into())
    }
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// The sources, most important first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Logins {
    /// The values of [`FLAG`].
    flags: Vec<Hidden>,
    /// The value of [`LOGINS`].
    given: Option<Hidden>,
    /// Files of credentials; logins are written to the first.
    files: Vec<PathBuf>,
    /// Runs credential helpers.
    helpers: Helpers,
    /// Whether a flag named the file; then it must exist.
    named: bool,
}

impl LoginArgs {
    /// The sources: given credentials first, then files. Files and helpers that cannot be used are
    /// reported to `observer`.
    pub(super) fn logins(&self, observer: Arc<dyn CredentialsObserver>) -> Logins {
        Logins {
            flags: self.creds.clone(),
            given: env::logins().map(|text| Hidden::from(&*text)),
            files: match &self.auth_file {
                Some(file) => vec![file.clone()],
                None => env::login_files(),
            },
            helpers: Helpers::default().path(env::programs()).observer(observer),
            named: self.auth_file.is_some(),
        }
    }
}

impl Logins {
    /// The file for logins.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if there is no place for one.
    pub(crate) fn first(&self) -> Result<AuthFile> {
        let first = self.files.first().ok_or_else(|| {
            let message = "no place for credentials: neither DOCKER_CONFIG nor HOME is set";
            Error::new(ErrorKind::Invalid, message)
        })?;
        Ok(AuthFile::new(first, &self.helpers))
    }

    /// All sources, as one.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if given credentials are malformed; if a named file is missing.
    pub(crate) fn credentials(&self) -> Result<Chain> {
        let mut places: Vec<Arc<dyn Credentials>> = vec![Arc::new(self.given()?)];
        if let Some(file) = self.files.first().filter(|_| self.named) {
            std::fs::metadata(file).map_err(|error| Error::io(file.display(), error))?;
        }
        for file in &self.files {
            places.push(Arc::new(AuthFile::new(file, &self.helpers)));
        }
        Ok(Chain::new(places))
    }

    /// The credentials that were given for this run. They are used before all files.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if given credentials are malformed.
    pub(crate) fn given(&self) -> Result<Chain> {
        let mut places: Vec<Arc<dyn Credentials>> = Vec::new();
        for Hidden(flag) in &self.flags {
            let given = parse(flag.expose(), FLAG).map_err(|error| error.target(FLAG))?;
            places.push(Arc::new(given));
        }
        let given = self.given.as_ref().map(|Hidden(given)| given.expose());
        let given = given.unwrap_or_default();
        for (index, line) in given.lines().enumerate() {
            if !line.trim().is_empty() {
                let at = format!("{LOGINS}, line {}", index + 1);
                let given = parse(line.trim(), LOGINS).map_err(|error| error.target(at))?;
                places.push(Arc::new(given));
            }
        }
        Ok(Chain::new(places))
    }
}

/// Parses HOST=USER:PASSWORD, from `source`. Errors do not quote it.
fn parse(line: &str, source: &str) -> Result<Given> {
    let invalid = |why: &str| Error::new(ErrorKind::Invalid, why);
    let parts = line.split_once('=').and_then(|(host, login)| {
        let (username, password) = login.split_once(':')?;
        Some((host, username, password))
    });
    let (host, username, password) = parts.ok_or_else(|| invalid("not HOST=USER:PASSWORD"))?;
    let registry: Registry = host
        .parse()
        .map_err(|_| invalid("HOST is not a registry"))?;
    let credential = Credential::password(username, password.into());
    Ok(Given::new(registry, credential, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_is_for_one_host_and_its_mistakes_are_not_quoted() {
        for (text, expected) in [
            ("secret", "WHARF_AUTH, line 1: not HOST=USER:PASSWORD"),
            (
                "\nr.example=secret",
                "WHARF_AUTH, line 2: not HOST=USER:PASSWORD",
            ),
            ("secret=a:b", "WHARF_AUTH, line 1: HOST is not a registry"),
        ] {
            let logins = Logins {
                given: Some(text.into()),
                ..Logins::default()
            };
            assert!(!format!("{logins:?}").contains("secret"));
            assert_eq!(logins.credentials().unwrap_err().to_string(), expected);
        }
        assert!(parse("localhost:5000=me:pass=:word", LOGINS).is_ok());
        let logins = Logins {
            flags: vec!["r.example=me:secret".into(), "r.example:secret".into()],
            ..Logins::default()
        };
        let error = logins.credentials().unwrap_err();
        assert_eq!(error.to_string(), "--creds: not HOST=USER:PASSWORD");
    }
}
