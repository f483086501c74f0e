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

    /// Whether there is no text at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
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
