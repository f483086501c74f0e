//! Secret text: it has no `Display`, shows nothing in `Debug`, and is zeroed when it is dropped.

use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// A password or a token.
///
/// It cannot be printed by accident; [`Secret::expose`] returns the text.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes `text`, which is zeroed on drop.
    pub fn new(text: String) -> Self {
        Secret(Zeroizing::new(text))
    }

    /// The text, only for its intended receiver.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// `text` with this secret removed, in plain form and as JSON escapes it.
    pub(crate) fn struck_from(&self, text: &[u8]) -> Zeroizing<Vec<u8>> {
        if self.is_empty() {
            return Zeroizing::new(text.to_vec());
        }
        let json = Zeroizing::new(serde_json::Value::from(self.expose()).to_string());
        let written = json.get(1..json.len() - 1).unwrap_or_default();
        struck(&struck(text, written.as_bytes()), self.expose().as_bytes())
    }

    /// Whether there is no text at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The replacement of a secret.
const STRUCK: &[u8] = "…".as_bytes();

fn struck(text: &[u8], secret: &[u8]) -> Zeroizing<Vec<u8>> {
    // The replacement may be longer than the secret: growing copies only redacted text.
    let (mut rest, mut kept) = (text, Zeroizing::new(Vec::with_capacity(text.len())));
    while let Some(at) = rest.windows(secret.len()).position(|part| part == secret) {
        kept.extend_from_slice(&rest[..at]);
        kept.extend_from_slice(STRUCK);
        rest = &rest[at + secret.len()..];
    }
    kept.extend_from_slice(rest);
    kept
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Secret::new(text.to_owned())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Secret::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_struck_from_a_text_however_it_is_written() {
        for (secret, text, expected) in [
            ("a\"", r#"{"m":"a\""} a""#, r#"{"m":"…"} …"#),
            ("pass", "passpass, pas", "……, pas"),
            ("", "all", "all"),
        ] {
            let struck = Secret::from(secret).struck_from(text.as_bytes());
            assert_eq!(*struck, expected.as_bytes());
        }
    }
}
