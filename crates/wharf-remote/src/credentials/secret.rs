//! Text that must not be seen: it has no `Debug` or `Display`, and is zeroed when it is dropped.

use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// A password or a token.
///
/// There is no way to print one by accident; whoever needs the text says [`Secret::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes over `text`, which is zeroed in the end.
    pub fn new(text: String) -> Self {
        Secret(Zeroizing::new(text))
    }

    /// The text, to be handed to whom it is for and nobody else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// `text`, without this one in it: neither as it is, nor as JSON writes it.
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

/// What stands in the place of a secret.
const STRUCK: &[u8] = "…".as_bytes();

fn struck(text: &[u8], secret: &[u8]) -> Zeroizing<Vec<u8>> {
    // What is put in may be longer than what it stands for: growing leaves nothing but that behind.
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
