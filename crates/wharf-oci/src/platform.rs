//! Platforms: what an image runs on.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::lenient::null_as_default;
use crate::text::{Printable, Quoted};

/// What an image runs on. OCI image-spec, "Image Index", `platform`.
///
/// As text it is `os/architecture[/variant][:os version]`.
///
/// ```
/// use wharf_oci::Platform;
/// let arm: Platform = "linux/arm64/v8".parse()?;
/// assert!(arm.matches(&"linux/arm64".parse()?));
/// # Ok::<(), wharf_oci::PlatformError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// The processor architecture in Go's spelling, `amd64`.
    #[serde(default)]
    pub architecture: String,
    /// The operating system in Go's spelling, `linux`.
    #[serde(default)]
    pub os: String,
    /// The version of the operating system, for Windows.
    #[serde(
        rename = "os.version",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub os_version: Option<String>,
    /// What the operating system must offer, `win32k`.
    #[serde(
        rename = "os.features",
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
    /// The variant of the architecture, `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// What the processor must offer; only in Docker's manifest lists.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub features: Vec<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

impl Platform {
    /// Whether this platform is what was wanted: every field that `wanted` sets is the same here,
    /// and its features are among those here. `arm64` and `arm64/v8` are one.
    pub fn matches(&self, wanted: &Platform) -> bool {
        let same = |wanted: &str, here: &str| wanted.is_empty() || wanted == here;
        same(&wanted.os, &self.os)
            && same(&wanted.architecture, &self.architecture)
            && same(wanted.variant(), self.variant_or_usual())
            && same(
                wanted.os_version.as_deref().unwrap_or(""),
                self.os_version.as_deref().unwrap_or(""),
            )
            && wanted
                .os_features
                .iter()
                .all(|feature| self.os_features.contains(feature))
            && wanted
                .features
                .iter()
                .all(|feature| self.features.contains(feature))
    }

    fn variant(&self) -> &str {
        self.variant.as_deref().unwrap_or("")
    }

    fn variant_or_usual(&self) -> &str {
        match (self.architecture.as_str(), self.variant()) {
            ("arm64", "") => "v8",
            (_, variant) => variant,
        }
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Platform, PlatformError> {
        parse(text).map_err(|problem| PlatformError {
            text: text.to_owned(),
            problem,
        })
    }
}

fn parse(text: &str) -> Result<Platform, PlatformProblem> {
    let (path, os_version) = match text.split_once(':') {
        Some((path, version)) => (path, Some(part(version, "os version")?)),
        None => (text, None),
    };
    let mut parts = path.split('/');
    let os = part(parts.next().unwrap_or(""), "os")?;
    let architecture = part(
        parts.next().ok_or(PlatformProblem::NoArchitecture)?,
        "architecture",
    )?;
    let variant = parts.next().map(|text| part(text, "variant")).transpose()?;
    if parts.next().is_some() {
        return Err(PlatformProblem::TooMany);
    }
    Ok(Platform {
        os,
        architecture,
        variant,
        os_version,
        ..Platform::default()
    })
}

fn part(text: &str, name: &'static str) -> Result<String, PlatformProblem> {
    if text.is_empty() {
        return Err(PlatformProblem::Empty(name));
    }
    match text.chars().find(|character| !is_allowed(*character)) {
        Some(character) => Err(PlatformProblem::Character { name, character }),
        None => Ok(text.to_owned()),
    }
}

fn is_allowed(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-')
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text| Printable(text, 64);
        write!(
            f,
            "{}/{}",
            shown(self.os.as_str()),
            shown(self.architecture.as_str())
        )?;
        if let Some(variant) = &self.variant {
            write!(f, "/{}", shown(variant))?;
        }
        if let Some(version) = &self.os_version {
            write!(f, ":{}", shown(version))?;
        }
        Ok(())
    }
}

/// Text that is not a platform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "platform {}: {problem} (os/architecture[/variant][:os version])",
    Quoted(text)
)]
pub struct PlatformError {
    text: String,
    problem: PlatformProblem,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum PlatformProblem {
    #[error("no architecture")]
    NoArchitecture,
    #[error("too many parts")]
    TooMany,
    #[error("{0} is empty")]
    Empty(&'static str),
    #[error("character {character:?} is not allowed in the {name}")]
    Character { name: &'static str, character: char },
}
