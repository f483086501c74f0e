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
    /// The features that the operating system must offer, `win32k`.
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
    /// The features that the processor must offer; only in Docker's manifest lists.
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
    /// Linux on the architecture of this machine: what a program runs on that was built here for an
    /// image.
    pub fn linux_here() -> Platform {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
            "powerpc64" => "ppc64",
            "loongarch64" => "loong64",
            same => same,
        };
        Platform {
            os: "linux".to_owned(),
            architecture: architecture.to_owned(),
            ..Platform::default()
        }
    }

    /// Whether this platform satisfies `wanted`: each field that `wanted` sets is equal here, and
    /// its features are among those here. `arm64` equals `arm64/v8`.
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

    /// A platform that may lack its architecture, to be matched: `linux`, `windows:10.0.20348.2`.
    ///
    /// ```
    /// use wharf_oci::Platform;
    /// let linux = Platform::parse_partly("linux")?;
    /// assert!("linux/arm/v7".parse::<Platform>()?.matches(&linux));
    /// # Ok::<(), wharf_oci::PlatformError>(())
    /// ```
    ///
    /// # Errors
    /// As parsing a whole platform.
    pub fn parse_partly(text: &str) -> Result<Platform, PlatformError> {
        parse(text).map_err(|problem| PlatformError::new(text, problem))
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
        let parsed = parse(text).and_then(|platform| match platform.architecture.is_empty() {
            true => Err(PlatformProblem::NoArchitecture),
            false => Ok(platform),
        });
        parsed.map_err(|problem| PlatformError::new(text, problem))
    }
}

impl PlatformError {
    fn new(text: &str, problem: PlatformProblem) -> Self {
        PlatformError {
            text: text.to_owned(),
            problem,
        }
    }
}

/// The architecture may be left out.
fn parse(text: &str) -> Result<Platform, PlatformProblem> {
    let (path, os_version) = match text.split_once(':') {
        Some((path, version)) => (path, Some(part(version, "os version")?)),
        None => (text, None),
    };
    let mut parts = path.split('/');
    let os = part(parts.next().unwrap_or(""), "os")?;
    let architecture = parts.next().map(|text| part(text, "architecture"));
    let variant = parts.next().map(|text| part(text, "variant")).transpose()?;
    if parts.next().is_some() {
        return Err(PlatformProblem::TooMany);
    }
    Ok(Platform {
        os,
        architecture: architecture.transpose()?.unwrap_or_default(),
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    #[test]
    fn text_has_up_to_four_parts() {
        let full = platform("windows/arm/v7:10.0.17763.1");
        assert_eq!(full.os, "windows");
        assert_eq!(full.architecture, "arm");
        assert_eq!(full.variant.as_deref(), Some("v7"));
        assert_eq!(full.os_version.as_deref(), Some("10.0.17763.1"));
        assert_eq!(platform("linux/amd64").variant, None);
        assert_eq!(
            platform("windows/amd64:10.0").to_string(),
            "windows/amd64:10.0"
        );
    }

    #[test]
    fn the_architecture_of_this_machine_is_spelled_as_in_images() {
        let here = Platform::linux_here();
        assert_eq!(here.os, "linux");
        assert!(!["x86_64", "aarch64"].contains(&here.architecture.as_str()));
        if cfg!(target_arch = "x86_64") {
            assert_eq!(here.architecture, "amd64");
        }
    }

    #[test]
    fn errors_name_what_is_wrong() {
        let message = |text: &str| text.parse::<Platform>().unwrap_err().to_string();
        assert!(message("linux").starts_with(r#"platform "linux": no architecture"#));
        assert!(message("").contains("os is empty"));
        assert!(message("linux/").contains("architecture is empty"));
        assert!(message("linux/arm/").contains("variant is empty"));
        assert!(message("linux/arm:").contains("os version is empty"));
        assert!(message("linux/arm/v7/x").contains("too many parts"));
        assert!(message("linux/arm:1:2").contains("':' is not allowed in the os version"));
        assert!(message("linux/a m").contains("' ' is not allowed in the architecture"));
    }

    #[test]
    fn parts_that_are_left_out_match_anything() {
        for (pattern, fits, fits_not) in [
            ("linux", "linux/arm/v7", "windows/amd64"),
            ("linux/arm", "linux/arm/v6", "linux/arm64"),
            ("windows:10", "windows/arm64:10", "windows/arm64"),
        ] {
            let wanted = Platform::parse_partly(pattern).unwrap();
            assert!(platform(fits).matches(&wanted), "{pattern} {fits}");
            assert!(!platform(fits_not).matches(&wanted), "{pattern}");
        }
        for text in ["", "/", "linux/", "linux//v7", "a/b/c/d", "linux:", "l nux"] {
            let said = Platform::parse_partly(text).unwrap_err().to_string();
            assert!(said.starts_with("platform "), "{said}");
        }
    }

    #[test]
    fn matches_where_every_wanted_field_is_the_same() {
        for (here, wanted, expected) in [
            ("linux/amd64", "linux/amd64", true),
            ("linux/amd64", "linux/arm64", false),
            ("linux/amd64", "windows/amd64", false),
            ("linux/arm/v7", "linux/arm", true),
            ("linux/arm", "linux/arm/v7", false),
            ("linux/arm/v6", "linux/arm/v7", false),
            ("linux/arm64", "linux/arm64/v8", true),
            ("linux/arm64/v8", "linux/arm64", true),
            ("linux/arm64/v9", "linux/arm64/v8", false),
            ("linux/amd64", "linux/amd64/v8", false),
            ("windows/amd64:10.0", "windows/amd64", true),
            ("windows/amd64:10.0", "windows/amd64:10.1", false),
            ("windows/amd64", "windows/amd64:10.0", false),
        ] {
            assert_eq!(
                platform(here).matches(&platform(wanted)),
                expected,
                "{here} for {wanted}"
            );
        }
    }

    #[test]
    fn wanted_features_must_be_there() {
        let here = Platform {
            os_features: vec!["a".into(), "b".into()],
            ..platform("windows/amd64")
        };
        let wanted = |feature: &str| Platform {
            os_features: vec![feature.into()],
            ..platform("windows/amd64")
        };
        assert!(here.matches(&wanted("b")));
        assert!(!here.matches(&wanted("c")));
        assert!(here.matches(&Platform::default()));
    }

    proptest! {
        #[test]
        fn display_parses_back(text in "[a-z]{1,8}/[a-z0-9]{1,8}(/v[0-9])?(:[0-9.]{1,12})?") {
            let parsed: Platform = text.parse().unwrap();
            prop_assert_eq!(parsed.to_string(), text);
        }

        #[test]
        fn every_platform_matches_itself(text in "[a-z]{1,8}/(arm64|amd64|arm)(/v[78])?(:[0-9.]{1,12})?") {
            prop_assert!(platform(&text).matches(&platform(&text)));
        }

        #[test]
        fn any_text_is_parsed_or_refused_in_one_line(text: String) {
            match text.parse::<Platform>() {
                Ok(parsed) => prop_assert_eq!(parsed.to_string(), text),
                Err(error) => prop_assert!(!error.to_string().contains(char::is_control)),
            }
        }
    }
}
