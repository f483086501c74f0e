//! The values of `--platform`: one counts for most commands, all of them for some.

use std::str::FromStr;

use wharf::place::PlatformChoice;
use wharf_oci::{Platform, PlatformError};

/// A value of `--platform`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PlatformWord {
    /// `all`: the whole index.
    All,
    /// A platform.
    Of(Box<Platform>),
}

impl PlatformWord {
    /// A platform that may be the operating system alone.
    pub(crate) fn parse_partly(text: &str) -> Result<Self, PlatformError> {
        match text {
            "all" => Ok(PlatformWord::All),
            text => Platform::parse_partly(text).map(|partly| PlatformWord::Of(Box::new(partly))),
        }
    }
}

impl FromStr for PlatformWord {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        match text {
            "all" => Ok(PlatformWord::All),
            text => Ok(PlatformWord::Of(Box::new(text.parse()?))),
        }
    }
}

/// The choice of a command that needs one: the last value counts.
pub(super) fn last(words: &[PlatformWord]) -> PlatformChoice {
    match words.last() {
        None | Some(PlatformWord::All) => PlatformChoice::All,
        Some(PlatformWord::Of(platform)) => Platform::clone(platform).into(),
    }
}

/// The choice of a command that takes several: those after the last `all`.
pub(crate) fn several(words: &[PlatformWord]) -> Vec<Platform> {
    let mut chosen = Vec::new();
    for word in words {
        match word {
            PlatformWord::All => chosen.clear(),
            PlatformWord::Of(platform) => chosen.push(Platform::clone(platform)),
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_platform_counts_where_one_is_needed() {
        let words = |text: &str| -> Vec<PlatformWord> {
            text.split(',').map(|word| word.parse().unwrap()).collect()
        };
        let arm: Platform = "linux/arm64".parse().unwrap();
        assert_eq!(last(&words("all,linux/arm64")), arm.clone().into());
        assert_eq!(last(&words("linux/arm64,all")), PlatformChoice::All);
        assert_eq!(last(&[]), PlatformChoice::All);
        assert_eq!(several(&words("linux/386,all,linux/arm64")), [arm]);
        assert_eq!(several(&words("linux/386,all")), []);
        for text in ["", "linux", "linux/", "a/b/c/d"] {
            assert!(text.parse::<PlatformWord>().is_err(), "{text}");
        }
    }
}
