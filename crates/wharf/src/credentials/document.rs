//! What Docker's `config.json` and Podman's `auth.json` say about credentials.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::credential::Credential;
use super::key::normal;
use super::secret::Secret;
use crate::{Error, ErrorKind, Result};

/// The part of the file that is about credentials; the rest is nobody's business here.
#[derive(Default, Deserialize)]
pub(super) struct Document {
    auths: Option<BTreeMap<String, Option<Entry>>>,
    #[serde(rename = "credsStore")]
    creds_store: Option<String>,
    #[serde(rename = "credHelpers")]
    cred_helpers: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Entry {
    auth: Option<Secret>,
    username: Option<String>,
    password: Option<Secret>,
    identitytoken: Option<Secret>,
    registrytoken: Option<Secret>,
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("credentials")
    }
}

impl Document {
    /// The document in `bytes`, which came from `path`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`], with file, line and column, where it is none.
    pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Document::default());
        }
        serde_json::from_slice(bytes).map_err(|error| malformed(path, &error))
    }

    /// The helper that is to be asked for `key` (in one spelling), and for nothing else.
    pub(super) fn helper(&self, key: &str) -> Option<&str> {
        let helpers = self.cred_helpers.iter().flatten();
        let mut fitting = helpers.filter(|(written, _)| normal(written) == key);
        fitting.next().map(|(_, helper)| helper.as_str())
    }

    /// The helper that keeps all that has none of its own.
    pub(super) fn store(&self) -> Option<&str> {
        self.creds_store.as_deref().filter(|name| !name.is_empty())
    }

    /// How `key` is written in the file, if it is.
    pub(super) fn written(&self, key: &str) -> Option<&str> {
        let keys = self.auths.iter().flatten().map(|(written, _)| written);
        keys.map(String::as_str)
            .find(|written| normal(written) == key)
    }

    /// The credential that stands in the file itself for `key`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where it cannot be read.
    pub(super) fn credential(&self, path: &Path, key: &str) -> Result<Option<Credential>> {
        for (written, entry) in self.auths.iter().flatten() {
            if normal(written) != key {
                continue;
            }
            let Some(entry) = entry else { continue };
            let credential = entry.credential().map_err(|why| {
                Error::new(ErrorKind::Invalid, why)
                    .target(format_args!("auths.{written:?}"))
                    .target(path.display())
            })?;
            if credential.is_some() {
                return Ok(credential);
            }
        }
        Ok(None)
    }
}

impl Entry {
    fn credential(&self) -> Result<Option<Credential>, &'static str> {
        if let Some(token) = filled(self.registrytoken.as_ref()) {
            return Ok(Some(Credential::RegistryToken(token.clone())));
        }
        if let Some(token) = filled(self.identitytoken.as_ref()) {
            return Ok(Some(Credential::IdentityToken(token.clone())));
        }
        if let Some(auth) = filled(self.auth.as_ref()) {
            return decoded(auth).map(Some);
        }
        let username = self.username.as_deref().filter(|name| !name.is_empty());
        let password = filled(self.password.as_ref());
        Ok(username
            .zip(password)
            .map(|(username, password)| Credential::password(username, password.clone())))
    }
}

fn filled(secret: Option<&Secret>) -> Option<&Secret> {
    secret.filter(|secret| !secret.is_empty())
}

/// base64 of USER:PASSWORD, as some programs leave the padding out.
fn decoded(auth: &Secret) -> Result<Credential, &'static str> {
    const ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let wrong = "auth is not base64 of USER:PASSWORD; log in again";
    let bytes = ANY_PADDING.decode(auth.expose().trim());
    let bytes = Zeroizing::new(bytes.map_err(|_| wrong)?);
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong)?;
    let (username, password) = text.split_once(':').ok_or(wrong)?;
    // Docker fills up with zero bytes.
    let password = password.trim_end_matches('\0');
    Ok(Credential::password(username, password.into()))
}

/// serde's own words may quote a value, which may be a secret.
pub(super) fn malformed(path: &Path, error: &serde_json::Error) -> Error {
    let what = match error.classify() {
        serde_json::error::Category::Data => "a value of another kind than belongs there",
        serde_json::error::Category::Eof => "ends too early",
        _ => "not JSON",
    };
    let (line, column) = (error.line(), error.column());
    let message = format!("line {line}, column {column}: {what}");
    Error::new(ErrorKind::Invalid, message).target(path.display())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn find(document: &str, key: &str) -> Result<Option<Credential>> {
        let path = Path::new("/etc/config.json");
        Document::parse(path, document.as_bytes())?.credential(path, key)
    }

    fn password(username: &str, password: &str) -> Option<Credential> {
        Some(Credential::password(username, password.into()))
    }

    #[test]
    fn credentials_stand_in_the_file_in_several_ways() {
        // printf user:pass:word | base64
        for (entry, expected) in [
            (
                r#"{"auth":"dXNlcjpwYXNzOndvcmQ="}"#,
                password("user", "pass:word"),
            ),
            (
                r#"{"auth":"dXNlcjpwYXNzOndvcmQ"}"#,
                password("user", "pass:word"),
            ),
            (r#"{"username":"u","password":"p"}"#, password("u", "p")),
            (
                r#"{"auth":"dXNlcjpwYXNzOndvcmQ=","identitytoken":"it"}"#,
                Some(Credential::IdentityToken("it".into())),
            ),
            (
                r#"{"identitytoken":"it","registrytoken":"rt"}"#,
                Some(Credential::RegistryToken("rt".into())),
            ),
            (
                r#"{"username":"<token>","password":"it"}"#,
                Some(Credential::IdentityToken("it".into())),
            ),
            ("{}", None),
            ("null", None),
            (r#"{"auth":"","email":"a@b"}"#, None),
        ] {
            let document = format!(r#"{{"auths":{{"https://r.example/v1/":{entry}}}}}"#);
            assert_eq!(find(&document, "r.example").unwrap(), expected, "{entry}");
        }
    }

    #[test]
    fn a_malformed_file_is_named_with_the_position_and_without_its_values() {
        for (document, expected) in [
            (
                "{\n \"auths\": [1",
                "/etc/config.json: line 2, column 10: a value of another kind than belongs there",
            ),
            (
                "{\n \"auths\": {",
                "/etc/config.json: line 2, column 11: ends too early",
            ),
            ("nothing", "/etc/config.json: line 1, column 2: not JSON"),
            (
                r#"{"auths":{"r":"secret"}}"#,
                "/etc/config.json: line 1, column 22: a value of another kind than belongs there",
            ),
            (
                r#"{"auths":{"r":{"auth":"*secret*"}}}"#,
                "/etc/config.json: auths.\"r\": auth is not base64 of USER:PASSWORD; log in again",
            ),
        ] {
            let error = find(document, "r").unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert_eq!(error.kind(), ErrorKind::Invalid);
        }
        assert_eq!(find(" \n", "r").unwrap(), None);
    }

    proptest! {
        #[test]
        fn no_file_is_too_odd_and_none_is_quoted(
            before in "[\\PC\n]{0,20}",
            auth in "[ -!#-\\[\\]-~]{16,24}",
            after in "[\\PC\n]{0,20}",
        ) {
            let documents = [
                format!(r#"{before}{{"auths":{{"r":{{"auth":"{auth}"}}}}}}{after}"#),
                format!(r#"{{"auths":{{"r":"{auth}"}}}}"#),
                format!(r#"{{"auths":{{"r":{{"identitytoken":["{auth}"]}}}}}}"#),
            ];
            for document in documents {
                if let Err(error) = find(&document, "r") {
                    let line = error.to_string();
                    prop_assert!(line.starts_with("/etc/config.json: "), "{line}");
                    prop_assert!(!line.contains(&auth), "{line}");
                }
            }
        }
    }

    #[test]
    fn no_credential_shows_its_secret() {
        let all = [
            Credential::password("user", "hidden".into()),
            Credential::IdentityToken("hidden".into()),
            Credential::RegistryToken("hidden".into()),
        ];
        assert!(!format!("{all:?}").contains("hidden"));
    }
}
