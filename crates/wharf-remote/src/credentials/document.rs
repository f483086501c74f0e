//! The credentials in Docker's `config.json` and Podman's `auth.json`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use serde::de::{IgnoredAny, MapAccess};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use super::credential::Credential;
use super::fields::{self, Fields};
use super::key::normal;
use super::secret::Secret;
use wharf_core::{Error, ErrorKind, Result};

/// The part of the file about credentials; the rest is ignored.
#[derive(Default)]
pub(super) struct Document {
    auths: BTreeMap<String, Option<Entry>>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Default)]
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
    /// Parses the document in `bytes`, from `path`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`], with file, line and column, if it is malformed.
    pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Document::default());
        }
        serde_json::from_slice(without_mark(bytes)).map_err(|error| malformed(path, &error))
    }

    /// The helpers to run for the normalised `key`, in order: its own, and for a `whole` registry
    /// the one for all. An empty name means none.
    pub(super) fn helpers(&self, key: &str, whole: bool) -> Vec<&str> {
        let mut own = self.cred_helpers.iter();
        let own = own.find(|(written, _)| normal(written) == key);
        let own = own.map(|(_, helper)| helper.as_str());
        let store = self
            .creds_store
            .as_deref()
            .filter(|_| whole && own != Some(""));
        let all = own.into_iter().chain(store);
        all.filter(|name| !name.is_empty()).collect()
    }

    /// The spelling of `key` in the file, if present.
    pub(super) fn written(&self, key: &str) -> Option<&str> {
        let mut keys = self.auths.keys().map(String::as_str);
        keys.find(|written| normal(written) == key)
    }

    /// The entries for parts of the registry `key`, as written.
    pub(super) fn below(&self, key: &str) -> Vec<String> {
        let is_below = |written: &&String| {
            let normal = normal(written);
            normal
                .strip_prefix(key)
                .is_some_and(|rest| rest.starts_with('/'))
        };
        self.auths.keys().filter(is_below).cloned().collect()
    }

    /// The credential for `key` in the file itself.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it is malformed.
    pub(super) fn credential(&self, path: &Path, key: &str) -> Result<Option<Credential>> {
        for (written, entry) in &self.auths {
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

impl Fields for Document {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "auths" => merge(&mut self.auths, map.next_value()?),
            "credsStore" => self.creds_store = map.next_value()?,
            "credHelpers" => merge(&mut self.cred_helpers, map.next_value()?),
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

impl Fields for Entry {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "auth" => self.auth = map.next_value()?,
            "username" => self.username = map.next_value()?,
            "password" => self.password = map.next_value()?,
            "identitytoken" => self.identitytoken = map.next_value()?,
            "registrytoken" => self.registrytoken = map.next_value()?,
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        fields::read(deserializer)
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        fields::read(deserializer)
    }
}

/// Merges repeated fields as Go's decoder does: later ones win.
fn merge<T>(all: &mut BTreeMap<String, T>, more: Option<BTreeMap<String, T>>) {
    match more {
        Some(more) => all.extend(more),
        None => all.clear(),
    }
}

/// Some editors write a byte order mark first.
pub(super) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
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

/// base64 of USER:PASSWORD; some programs leave out the padding.
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
    // Docker pads with zero bytes.
    let password = password.trim_end_matches('\0');
    Ok(Credential::password(username, password.into()))
}

/// serde's own message may quote a value, which may be a secret.
pub(super) fn malformed(path: &Path, error: &serde_json::Error) -> Error {
    let what = match error.classify() {
        serde_json::error::Category::Data => "a value of the wrong kind",
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
                "/etc/config.json: line 2, column 10: a value of the wrong kind",
            ),
            (
                "{\n \"auths\": {",
                "/etc/config.json: line 2, column 11: ends too early",
            ),
            ("nothing", "/etc/config.json: line 1, column 2: not JSON"),
            (
                r#"{"auths":{"r":"secret"}}"#,
                "/etc/config.json: line 1, column 22: a value of the wrong kind",
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

    #[test]
    fn what_stands_there_again_counts_as_with_docker_and_a_mark_before_it_does_not() {
        let document = r#"{
            "credsStore":"one", "credsStore":"",
            "auths":{"a":{"username":"x","username":"u","password":"p"}, "b":{"auth":"?"}},
            "auths":{"b":{"username":"v","password":"p"}, "b":{}, "b":{"username":"w","password":"p"}}
        }"#;
        assert_eq!(find(document, "a").unwrap(), password("u", "p"));
        let marked = format!("\u{feff}{document}");
        assert_eq!(find(&marked, "b").unwrap(), password("w", "p"));
        let document = Document::parse(Path::new("f"), document.as_bytes()).unwrap();
        assert_eq!(document.helpers("a", true), [""; 0]);
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
