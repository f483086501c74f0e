//! A line of a memory file: one JSON document, about one moment.

use std::fmt::Display;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wharf_oci::{Digest, Registry, Repository, RepositoryName, Tag};

use super::facts::Fact;
use super::moment::Moment;

/// What was learned. Later lines of a file count more than earlier ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum MemoryLine {
    /// The content was in the repository.
    Seen {
        at: Moment,
        place: RepositoryParts,
        digests: Vec<Digest>,
    },
    /// It was not there; this overrides earlier lines.
    Gone {
        place: RepositoryParts,
        digest: Digest,
    },
    /// What the tag named, if anything.
    Tag {
        at: Moment,
        place: RepositoryParts,
        #[serde(with = "text")]
        tag: Tag,
        digest: Option<Digest>,
    },
    /// How the host behaved.
    Fact {
        at: Moment,
        #[serde(with = "text")]
        host: Registry,
        fact: Fact,
    },
}

/// A repository, in two words, because one word could be short for another repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RepositoryParts(
    #[serde(with = "text")] Registry,
    #[serde(with = "text")] RepositoryName,
);

impl From<&Repository> for RepositoryParts {
    fn from(repository: &Repository) -> Self {
        RepositoryParts(repository.registry().clone(), repository.name().clone())
    }
}

impl RepositoryParts {
    /// The repository; `None` if the host has no such names.
    pub(super) fn repository(self) -> Option<Repository> {
        Repository::new(self.0, self.1).ok()
    }
}

/// The valid lines of `bytes`. Others are from a later version, or were cut off by a crash.
pub(super) fn read(bytes: &[u8]) -> impl Iterator<Item = MemoryLine> {
    let lines = bytes.split(|byte| *byte == b'\n');
    let lines = lines.filter_map(|line| serde_json::from_slice(line).ok());
    lines.filter(|line| !matches!(line, MemoryLine::Fact { fact, .. } if !fact.is_sane()))
}

/// Adds `line` to `bytes`.
pub(super) fn write(line: &MemoryLine, bytes: &mut Vec<u8>) {
    // No line of ours fails: a vector takes everything, and no key is anything but text.
    if let Ok(text) = serde_json::to_vec(line) {
        bytes.extend(text);
        bytes.push(b'\n');
    }
}

/// Names, as text.
mod text {
    use super::{Deserialize, Deserializer, Display, FromStr, Serializer};

    pub(super) fn serialize<S: Serializer>(
        name: &impl Display,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(name)
    }

    pub(super) fn deserialize<'de, D, T>(deserializer: D) -> Result<T, D::Error>
    where
        D: Deserializer<'de>,
        T: FromStr<Err: Display>,
    {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
