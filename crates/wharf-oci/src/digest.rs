//! Digests: `algorithm:hex` of exact bytes. A [`Digest`] is always well formed.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::digest::common::hazmat::SerializableState;
use sha2::{Sha256, Sha512};

use crate::text::Quoted;

/// The digest of exact bytes, as `sha256:<64 lower-case hex digits>`.
///
/// OCI image-spec, "Digests". Cloning is cheap.
///
/// ```
/// use wharf_oci::Digest;
/// let digest = Digest::of(b"");
/// assert_eq!(
///     digest.to_string(),
///     "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
/// );
/// assert_eq!(digest.to_string().parse(), Ok(digest));
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    hex: Arc<str>,
}

impl Digest {
    /// The sha256 digest of these bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest::of_with(Algorithm::Sha256, bytes)
    }

    /// The digest of these bytes with a given algorithm.
    pub fn of_with(algorithm: Algorithm, bytes: &[u8]) -> Digest {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    /// The algorithm, the part before the colon.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The lower-case hexadecimal digits, the part after the colon.
    pub fn hex(&self) -> &str {
        &self.hex
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Digest, DigestError> {
        let Some((algorithm, hex)) = text.split_once(':') else {
            return Err(DigestError::NoAlgorithm {
                text: text.to_owned(),
            });
        };
        let algorithm: Algorithm = algorithm.parse()?;
        let wrong = |(index, character)| DigestError::Character {
            text: text.to_owned(),
            character,
            position: index + 1,
        };
        if let Some(found) = hex
            .chars()
            .enumerate()
            .find(|(_, character)| !matches!(character, '0'..='9' | 'a'..='f'))
        {
            return Err(wrong(found));
        }
        if hex.len() != algorithm.hex_length() {
            return Err(DigestError::Length {
                text: text.to_owned(),
                algorithm,
                found: hex.len(),
            });
        }
        Ok(Digest {
            algorithm,
            hex: hex.into(),
        })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.hex)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// A digest algorithm that OCI registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256, which every registry accepts.
    Sha256,
    /// SHA-512, which few registries accept.
    Sha512,
}

impl Algorithm {
    /// How many hexadecimal digits a digest of this algorithm has.
    fn hex_length(self) -> usize {
        match self {
            Algorithm::Sha256 => 64,
            Algorithm::Sha512 => 128,
        }
    }
}

impl FromStr for Algorithm {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Algorithm, DigestError> {
        match text {
            "sha256" => Ok(Algorithm::Sha256),
            "sha512" => Ok(Algorithm::Sha512),
            _ => Err(DigestError::Algorithm {
                algorithm: text.to_owned(),
            }),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha512 => "sha512",
        })
    }
}

/// Computes a digest of bytes that arrive in pieces; its state can be saved.
#[derive(Clone)]
pub struct Hasher {
    state: State,
    length: u64,
}

#[derive(Clone)]
enum State {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    /// A hasher that has seen no bytes.
    pub fn new(algorithm: Algorithm) -> Hasher {
        use sha2::Digest as _;
        let state = match algorithm {
            Algorithm::Sha256 => State::Sha256(Sha256::new()),
            Algorithm::Sha512 => State::Sha512(Sha512::new()),
        };
        Hasher { state, length: 0 }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        use sha2::Digest as _;
        match &mut self.state {
            State::Sha256(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
        self.length += bytes.len() as u64;
    }

    /// How many bytes it has taken.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The algorithm of the digest to come.
    pub fn algorithm(&self) -> Algorithm {
        match self.state {
            State::Sha256(_) => Algorithm::Sha256,
            State::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// The state as bytes, for [`Hasher::restore`] in another process or at another time.
    ///
    /// ```
    /// use wharf_oci::{Algorithm, Digest, Hasher};
    /// let mut hasher = Hasher::new(Algorithm::Sha256);
    /// hasher.update(b"hello ");
    /// let saved = hasher.save();
    /// let mut hasher = Hasher::restore(&saved).expect("the bytes are as they were saved");
    /// hasher.update(b"world");
    /// assert_eq!(hasher.finish(), Digest::of(b"hello world"));
    /// ```
    pub fn save(&self) -> Vec<u8> {
        let mut bytes = saved_head(self.algorithm()).into_bytes();
        bytes.extend_from_slice(&self.length.to_le_bytes());
        match &self.state {
            State::Sha256(state) => bytes.extend_from_slice(&state.serialize()),
            State::Sha512(state) => bytes.extend_from_slice(&state.serialize()),
        }
        let checksum = checksum(&bytes);
        bytes.extend_from_slice(&checksum);
        bytes
    }

    /// The hasher that [`Hasher::save`] wrote down.
    ///
    /// # Errors
    /// Where another version saved it, or any of its bytes is wrong.
    pub fn restore(saved: &[u8]) -> Result<Hasher, HasherStateError> {
        let Some((bytes, found)) = saved.split_last_chunk() else {
            return Err(HasherStateError::Corrupt);
        };
        let rest = |algorithm| {
            let rest = bytes.strip_prefix(saved_head(algorithm).as_bytes());
            rest.map(|rest| (algorithm, rest))
        };
        let rest = rest(Algorithm::Sha256).or_else(|| rest(Algorithm::Sha512));
        let (algorithm, rest) = rest.ok_or(HasherStateError::Format)?;
        let restored = rest.split_first_chunk().and_then(|(length, state)| {
            let state = match algorithm {
                Algorithm::Sha256 => State::Sha256(deserialize(state)?),
                Algorithm::Sha512 => State::Sha512(deserialize(state)?),
            };
            let length = u64::from_le_bytes(*length);
            Some(Hasher { state, length })
        });
        let restored = restored.filter(|_| checksum(bytes) == *found);
        restored.ok_or(HasherStateError::Corrupt)
    }

    /// The digest of all bytes taken.
    pub fn finish(self) -> Digest {
        use sha2::Digest as _;
        match self.state {
            State::Sha256(state) => Digest {
                algorithm: Algorithm::Sha256,
                hex: to_hex(&state.finalize()),
            },
            State::Sha512(state) => Digest {
                algorithm: Algorithm::Sha512,
                hex: to_hex(&state.finalize()),
            },
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hasher({})", self.algorithm())
    }
}

/// What a saved state begins with: the version of the format, and the algorithm.
///
/// sha2 keeps the bytes of a state the same within 0.11; a later one needs another version here.
fn saved_head(algorithm: Algorithm) -> String {
    format!("wharf-hasher 1 {algorithm}\n")
}

/// sha2 takes any bytes of the right number for a state, so that a checksum must find wrong ones.
fn checksum(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    Sha256::digest(bytes).into()
}

fn deserialize<S: SerializableState>(bytes: &[u8]) -> Option<S> {
    S::deserialize(bytes.try_into().ok()?).ok()
}

/// Why bytes are not the saved state of a [`Hasher`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HasherStateError {
    /// Another version saved it, or it is something else.
    #[error("not a saved hash state that this version knows")]
    Format,
    /// Some of its bytes are wrong or missing.
    #[error("the saved hash state is corrupt")]
    Corrupt,
}

fn to_hex(bytes: &[u8]) -> Arc<str> {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).expect("a nibble is below 16");
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect::<String>()
        .into()
}

/// Why text is not a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DigestError {
    /// There is no colon.
    #[error("digest {}: no algorithm (expected sha256:<hex>)", Quoted(text))]
    NoAlgorithm {
        /// The text as given.
        text: String,
    },
    /// The algorithm is not a known one.
    #[error(
        "digest algorithm {} is not supported (only sha256 and sha512 are)",
        Quoted(algorithm)
    )]
    Algorithm {
        /// The part before the colon.
        algorithm: String,
    },
    /// A character after the colon is no lower-case hexadecimal digit.
    #[error(
        "digest {}: character {character:?} is not allowed at hex position {position} (0-9, a-f)",
        Quoted(text)
    )]
    Character {
        /// The text as given.
        text: String,
        /// The offending character.
        character: char,
        /// Where it is after the colon, counted from 1.
        position: usize,
    },
    /// There are too few or too many hexadecimal digits.
    #[error("digest {}: {found} hex digits ({algorithm} has {})", Quoted(text), algorithm.hex_length())]
    Length {
        /// The text as given.
        text: String,
        /// The algorithm that the text names.
        algorithm: Algorithm,
        /// How many digits the text has.
        found: usize,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn matches_the_published_vectors() {
        assert_eq!(
            Digest::of(b"abc").to_string(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            Digest::of_with(Algorithm::Sha512, b"abc").hex(),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        );
    }

    #[test]
    fn errors_name_what_is_wrong() {
        let good = Digest::of(b"").to_string();
        let message = |text: &str| text.parse::<Digest>().unwrap_err().to_string();
        assert!(message("abc").contains(r#"digest "abc": no algorithm"#));
        assert_eq!(
            message("md5:00"),
            r#"digest algorithm "md5" is not supported (only sha256 and sha512 are)"#
        );
        assert_eq!(
            message("sha256:00"),
            r#"digest "sha256:00": 2 hex digits (sha256 has 64)"#
        );
        assert!(message("sha512:00").contains("sha512 has 128"));
        assert!(message(&good.replace('e', "E")).contains("'E' is not allowed at hex position 1 "));
        assert!(message(&format!("{good}\n")).contains(r"'\n' is not allowed at hex position 65 "));
        assert!(message(&format!("{good}0")).contains("65 hex digits"));
    }

    /// Directories keep states across versions: these bytes must stay readable.
    #[test]
    fn the_saved_state_is_as_it_was_written_down() {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(&[b'a'; 65]);
        let saved = hasher.save();
        assert_eq!(
            Digest::of(&saved).hex(),
            "0e77e6f8b384e50ee3c8f3bb05fa65f62bfc934cd8816914aaedcab97ef32e92"
        );
        assert_eq!(
            saved.len(),
            "wharf-hasher 1 sha256\n".len() + 8 + 40 + 64 + 32
        );
        assert_eq!(Hasher::restore(b"").unwrap_err(), HasherStateError::Corrupt);
        let later = [b"wharf-hasher 2 sha256\n", saved.as_slice()].concat();
        assert_eq!(
            Hasher::restore(&later).unwrap_err(),
            HasherStateError::Format
        );
    }

    #[test]
    fn json_is_a_plain_string() {
        let digest = Digest::of(b"x");
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(json, format!("\"{digest}\""));
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
        assert!(serde_json::from_str::<Digest>("\"sha256:x\"").is_err());
        assert_eq!(format!("{digest:?}"), digest.to_string());
    }

    proptest! {
        #[test]
        fn pieces_make_the_digest_of_the_whole(pieces: Vec<Vec<u8>>) {
            for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
                let mut hasher = Hasher::new(algorithm);
                pieces.iter().for_each(|piece| hasher.update(piece));
                prop_assert_eq!(hasher.finish(), Digest::of_with(algorithm, &pieces.concat()));
            }
        }

        #[test]
        fn a_saved_state_goes_on_where_it_was(head: Vec<u8>, tail: Vec<u8>) {
            for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
                let mut hasher = Hasher::new(algorithm);
                hasher.update(&head);
                let mut restored = Hasher::restore(&hasher.save()).unwrap();
                prop_assert_eq!(restored.algorithm(), algorithm);
                prop_assert_eq!(restored.length(), head.len() as u64);
                restored.update(&tail);
                let whole = [head.clone(), tail.clone()].concat();
                prop_assert_eq!(restored.finish(), Digest::of_with(algorithm, &whole));
            }
        }

        #[test]
        fn a_saved_state_with_a_wrong_byte_is_refused(
            head: Vec<u8>,
            place: prop::sample::Index,
            change in 1u8..,
        ) {
            for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
                let mut hasher = Hasher::new(algorithm);
                hasher.update(&head);
                let mut saved = hasher.save();
                let place = place.index(saved.len());
                prop_assert!(Hasher::restore(saved.get(..place).unwrap()).is_err());
                saved[place] ^= change;
                prop_assert!(Hasher::restore(&saved).is_err());
            }
        }

        #[test]
        fn any_bytes_are_a_state_or_refused(bytes: Vec<u8>) {
            prop_assert!(Hasher::restore(&bytes).is_err());
        }

        #[test]
        fn what_parses_displays_as_itself(text in "(sha256|sha512|.*):?[0-9a-fA-F]{64}([0-9a-f]{64})?") {
            if let Ok(digest) = text.parse::<Digest>() {
                prop_assert_eq!(digest.to_string(), text);
            }
        }

        #[test]
        fn every_digest_parses_back(bytes: Vec<u8>) {
            for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
                let digest = Digest::of_with(algorithm, &bytes);
                prop_assert_eq!(digest.to_string().parse::<Digest>(), Ok(digest));
            }
        }

        #[test]
        fn any_text_is_parsed_or_refused_in_one_line(text: String) {
            if let Err(error) = text.parse::<Digest>() {
                prop_assert!(!error.to_string().contains(char::is_control));
            }
        }
    }
}
