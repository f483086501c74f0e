//! Removes a request's secrets from the text of its answer, because some servers repeat them
//! (wire.md P3).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use zeroize::Zeroizing;

use crate::credentials::Secret;

/// Shorter passwords are common words, which would be removed from any text.
const SHORTEST: usize = 4;

/// The secrets of a request.
#[derive(Clone, Default)]
pub(crate) struct SentSecrets {
    headers: Vec<HeaderValue>,
    told: Vec<Secret>,
}

impl SentSecrets {
    /// Adds `secret`, which the body contains.
    pub(super) fn about(&mut self, secret: &Secret) {
        self.told.push(secret.clone());
    }

    /// The same, with the secrets in headers that only the origin may see.
    pub(super) fn with(&self, headers: &HeaderMap) -> Self {
        let secret = headers.values().filter(|value| value.is_sensitive());
        SentSecrets {
            headers: secret.cloned().collect(),
            told: self.told.clone(),
        }
    }

    /// `text` without any of it.
    pub(super) fn hide(&self, mut text: Bytes) -> Bytes {
        let headers = self.headers.iter().flat_map(secrets_of);
        for secret in headers.chain(self.told.iter().cloned()) {
            text = secret.struck_from(&text).to_vec().into();
        }
        text
    }
}

/// The secrets in a header: the whole value, the part after the scheme, and the password in it.
fn secrets_of(value: &HeaderValue) -> Vec<Secret> {
    let Ok(value) = value.to_str() else {
        return Vec::new();
    };
    let mut all = vec![Secret::from(value)];
    let Some((scheme, rest)) = value.split_once(' ') else {
        return all;
    };
    all.push(rest.into());
    if scheme.eq_ignore_ascii_case("basic")
        && let Ok(plain) = BASE64_STANDARD.decode(rest).map(Zeroizing::new)
        && let Ok(plain) = std::str::from_utf8(&plain)
        && let Some((_, password)) = plain.split_once(':')
        && password.len() >= SHORTEST
    {
        all.push(password.into());
    }
    all
}

impl std::fmt::Debug for SentSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SentSecrets")
    }
}

#[cfg(test)]
mod tests {
    use http::header::AUTHORIZATION;

    use super::*;

    fn hidden(header: &str, told: &[&str], text: &str) -> String {
        let mut value = HeaderValue::from_str(header).unwrap();
        value.set_sensitive(true);
        let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
        let mut sent_secrets = SentSecrets::default();
        for told in told {
            sent_secrets.about(&(*told).into());
        }
        let text = Bytes::copy_from_slice(text.as_bytes());
        String::from_utf8(sent_secrets.with(&headers).hide(text).to_vec()).unwrap()
    }

    #[test]
    fn p3_what_a_server_repeats_is_not_told() {
        let basic = format!("Basic {}", BASE64_STANDARD.encode("me:pass\"word"));
        for (header, told, text, expected) in [
            ("Bearer abc", &[][..], "bad Bearer abc!", "bad …!"),
            ("Bearer abc", &[], "abcabc", "……"),
            (&basic, &[], r#"{"m":"pass\"word"}"#, r#"{"m":"…"}"#),
            (&basic, &[], "pass\"word, me", "…, me"),
            ("x", &["refresh"], "not refresh", "not …"),
            ("Basic bWU6bWU=", &[], "some me", "some me"),
        ] {
            assert_eq!(hidden(header, told, text), expected);
        }
    }
}
