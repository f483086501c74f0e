//! Files that an image is built of, and how they are there.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{OsStringValueParser, TypedValueParser};
use wharf::image::FileSet;
use wharf::layer::{Modes, Owners, PlacedFile, Times, TreeOptions};
use wharf::{Error, ErrorKind, Result};
use wharf_oci::Platform;

use crate::env;

/// Files that an image is built of.
#[derive(Debug, clap::Args)]
pub(crate) struct Files {
    /// Add a file, or what is in a directory, at DEST, an absolute path; without DEST under its own
    /// name in /, with a slash at its end into that directory
    #[arg(long = "file", value_name = "[PLATFORM=]SRC[:DEST]")]
    #[arg(value_parser = OsStringValueParser::new().map(|text| Source::parse(&text)))]
    files: Vec<Source>,
    /// Owner of what --file adds: UID:GID, or keep
    #[arg(long, value_name = "OWNER", default_value = "0:0", value_parser = owners)]
    chown: Owners,
    /// Permissions of what --file adds: usual (0755 for directories and programs, 0644 for other
    /// files), keep, or an octal number
    #[arg(long, value_name = "MODE", default_value = "usual", value_parser = modes)]
    chmod: Modes,
}

/// A value of `--file`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    platform: Option<Platform>,
    path: PathBuf,
    place: Option<OsString>,
}

impl Files {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The files at their places. All times are that of `SOURCE_DATE_EPOCH`, or 1970.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a place that is not absolute.
    pub(crate) fn set(&self) -> Result<FileSet> {
        let mut files = FileSet::new(TreeOptions {
            owners: self.chown,
            times: match env::source_date_epoch()? {
                Times::Kept => Times::Fixed(0),
                fixed => fixed,
            },
            modes: self.chmod,
        });
        for source in &self.files {
            files = files.with(source.platform.clone(), source.placed()?);
        }
        Ok(files)
    }
}

impl Source {
    /// Splits the text at the last `:/`; what is before the first `=` is a platform if it has the
    /// form of one, with a letter at its beginning. `./` before a path keeps it from being one.
    fn parse(text: &OsStr) -> Self {
        let Some(text) = text.to_str() else {
            return Source::of_bytes(text);
        };
        let (platform, rest) = match text.split_once('=') {
            Some((before, rest)) => match platform(before) {
                Some(platform) => (Some(platform), rest),
                None => (None, text),
            },
            None => (None, text),
        };
        let (path, place) = match rest.rfind(":/") {
            Some(at) => (rest.get(..at), rest.get(at + 1..)),
            None => (Some(rest), None),
        };
        Source {
            platform,
            path: path.unwrap_or(rest).into(),
            place: place.map(OsString::from),
        }
    }

    /// A path that is not Unicode. Its place is a path of the image, and may be that too.
    #[cfg(unix)]
    fn of_bytes(text: &OsStr) -> Self {
        use std::os::unix::ffi::OsStrExt;

        let bytes = text.as_bytes();
        let at = bytes.windows(2).rposition(|pair| pair == b":/");
        let (path, place) = match at.and_then(|at| bytes.split_at_checked(at)) {
            Some((path, place)) => (path, place.get(1..)),
            None => (bytes, None),
        };
        Source {
            platform: None,
            path: OsStr::from_bytes(path).into(),
            place: place.map(|place| OsStr::from_bytes(place).to_owned()),
        }
    }

    #[cfg(not(unix))]
    fn of_bytes(text: &OsStr) -> Self {
        Source {
            platform: None,
            path: text.into(),
            place: None,
        }
    }

    fn placed(&self) -> Result<PlacedFile> {
        match &self.place {
            Some(place) => PlacedFile::new(&self.path, place),
            None => {
                let text = self.path.to_string_lossy();
                if !self.path.exists() && text.contains(':') {
                    let message = "no such file; in SRC:DEST, DEST begins with /";
                    return Err(Error::new(ErrorKind::NotFound, message).target(text));
                }
                PlacedFile::in_root(&self.path)
            }
        }
    }
}

fn platform(text: &str) -> Option<Platform> {
    let is_word = text.starts_with(|first: char| first.is_ascii_alphabetic());
    text.parse().ok().filter(|_| is_word)
}

fn owners(text: &str) -> Result<Owners, String> {
    if text == "keep" {
        return Ok(Owners::Kept);
    }
    let number = |text: &str| u32::from_str(text).ok().map(u64::from);
    let pair = text.split_once(':');
    let pair = pair.and_then(|(uid, gid)| Some((number(uid)?, number(gid)?)));
    let (uid, gid) = pair.ok_or("two numbers, as 1000:1000, or `keep`")?;
    Ok(Owners::Fixed { uid, gid })
}

fn modes(text: &str) -> Result<Modes, String> {
    match text {
        "keep" => Ok(Modes::Kept),
        "usual" => Ok(Modes::Usual),
        digits => {
            let mode = u32::from_str_radix(digits, 8).ok();
            let mode = mode.filter(|mode| *mode <= 0o7777);
            let mode = mode.ok_or("an octal number up to 7777, as 0640, or `usual`, or `keep`")?;
            Ok(Modes::Fixed(mode))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_begins_with_a_slash_and_a_platform_with_a_letter() {
        for (text, platform, path, place) in [
            ("./app:/app", "", "./app", "/app"),
            ("app", "", "app", ""),
            ("a:b:/c:/d/", "", "a:b:/c", "/d/"),
            ("linux/arm64=./app:/app", "linux/arm64", "./app", "/app"),
            ("linux/arm/v7=app", "linux/arm/v7", "app", ""),
            ("./linux/arm64=app:/x", "", "./linux/arm64=app", "/x"),
            ("a=b:/c", "", "a=b", "/c"),
        ] {
            let found = Source::parse(OsStr::new(text));
            let expected = Source {
                platform: platform.parse().ok(),
                path: path.into(),
                place: Some(place.into()).filter(|_| !place.is_empty()),
            };
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn paths_may_be_any_bytes() {
        use std::os::unix::ffi::OsStrExt;

        let found = Source::parse(OsStr::from_bytes(b"caf\xe9:/d/caf\xe9"));
        assert_eq!(found.path.as_os_str().as_bytes(), b"caf\xe9");
        assert_eq!(found.place.unwrap().as_bytes(), b"/d/caf\xe9");
    }

    #[test]
    fn owners_and_permissions_are_numbers_or_words() {
        assert_eq!(owners("1000:7"), Ok(Owners::Fixed { uid: 1000, gid: 7 }));
        assert_eq!(owners("keep"), Ok(Owners::Kept));
        assert_eq!(modes("0640"), Ok(Modes::Fixed(0o640)));
        assert_eq!(modes("4755"), Ok(Modes::Fixed(0o4755)));
        assert_eq!(
            (modes("keep"), modes("usual")),
            (Ok(Modes::Kept), Ok(Modes::Usual))
        );
        for text in ["", "root", "1:", "-1:0", "1:2:3", "4294967296:0"] {
            assert!(owners(text).is_err(), "{text}");
        }
        for text in ["", "8", "10000", "u+x", "-7"] {
            assert!(modes(text).is_err(), "{text}");
        }
    }
}
