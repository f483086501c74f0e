//! Where credentials come from: what was given for this run, then the files of other tools.

use std::path::PathBuf;
use std::sync::Arc;

use wharf::credentials::{AuthFile, Chain, Credential, Credentials, Given, Helpers};
use wharf::{Error, ErrorKind, Result};
use wharf_oci::Registry;

use crate::args::Hidden;

/// The variable that holds credentials for one run.
pub(crate) const VARIABLE: &str = "WHARF_AUTH";

/// What the credentials of a login that is being made are called.
pub(crate) const THIS_LOGIN: &str = "this login";

/// Where to look, most important first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    /// What [`VARIABLE`] holds.
    pub(crate) given: Option<Hidden>,
    /// Files of credentials; logins go to the first.
    pub(crate) files: Vec<PathBuf>,
}

impl Places {
    /// The file that logins go to.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where there is no place for one.
    pub(crate) fn first(&self) -> Result<AuthFile> {
        let first = self.files.first().ok_or_else(|| {
            let message = "no place for credentials: neither DOCKER_CONFIG nor HOME is set";
            Error::new(ErrorKind::Invalid, message)
        })?;
        Ok(AuthFile::new(first, &Helpers::default()))
    }

    /// All of them, as one.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where what was given makes no sense.
    pub(crate) fn credentials(&self) -> Result<Chain> {
        let helpers = Helpers::default();
        let mut places: Vec<Arc<dyn Credentials>> = Vec::new();
        let given = self.given.as_ref().map(|Hidden(given)| given.expose());
        let given = given.unwrap_or_default();
        for (index, line) in given.lines().enumerate() {
            if !line.trim().is_empty() {
                places.push(Arc::new(parse(line.trim(), index + 1)?));
            }
        }
        for file in &self.files {
            places.push(Arc::new(AuthFile::new(file, &helpers)));
        }
        Ok(Chain::new(places))
    }
}

/// HOST=USER:PASSWORD. What is wrong with it is told without quoting it.
fn parse(line: &str, number: usize) -> Result<Given> {
    let invalid = |why: &str| {
        Error::new(ErrorKind::Invalid, why).target(format_args!("{VARIABLE}, line {number}"))
    };
    let parts = line.split_once('=').and_then(|(host, login)| {
        let (username, password) = login.split_once(':')?;
        Some((host, username, password))
    });
    let (host, username, password) = parts.ok_or_else(|| invalid("not HOST=USER:PASSWORD"))?;
    let registry: Registry = host.parse().map_err(|_| invalid("HOST is no registry"))?;
    let credential = Credential::password(username, password.into());
    Ok(Given::new(registry, credential, VARIABLE))
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
            ("secret=a:b", "WHARF_AUTH, line 1: HOST is no registry"),
        ] {
            let places = Places {
                given: Some(text.into()),
                files: Vec::new(),
            };
            assert!(!format!("{places:?}").contains("secret"));
            assert_eq!(places.credentials().unwrap_err().to_string(), expected);
        }
        assert!(parse("localhost:5000=me:pass=:word", 1).is_ok());
    }
}
