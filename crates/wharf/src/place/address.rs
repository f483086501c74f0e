//! A place as text: `oci:DIR:TAG`, `docker-archive:FILE`, a registry reference.
//!
//! Parsing never looks at the disk: the same text always means the same place.

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use wharf_oci::{Digest, Reference, Selector};

use super::foreign;
use crate::{Error, ErrorKind, Result};

/// A place that content is read from or written to, parsed from text.
///
/// | text | place |
/// | --- | --- |
/// | `REGISTRY/REPOSITORY[:TAG][@DIGEST]` | an image in a registry |
/// | `oci:DIR[:NAME\|@DIGEST]` | an image layout directory; NAME is a tag or any name in it |
/// | `oci-archive:FILE[:NAME\|@DIGEST]` | a tar of one; `-` is standard input |
/// | `docker-archive:FILE[:NAME[:TAG]\|@DIGEST]` | what `docker save` writes; `-` is standard input |
///
/// `docker://` may stand before a reference. A text that begins with `/`, `./`, `../` or `~/` is a
/// path, and a [`LocalPlace`]; the places of other tools are refused by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A repository in a registry.
    Registry(Reference),
    /// A file or directory, or standard input.
    Local(LocalPlace),
}

/// Content on disk or on standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalPlace {
    /// The form that the text states.
    pub form: Form,
    /// The path, or standard input.
    pub at: PathOrStdin,
    /// The selected image, if there are several.
    pub choice: Option<Choice>,
}

/// The stated form of a place on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A path without a prefix: opening it finds out what it is.
    Any,
    /// `oci:`, an image layout directory.
    Layout,
    /// `oci-archive:`, a tar of an image layout.
    OciArchive,
    /// `docker-archive:`, the output of `docker save`.
    DockerArchive,
}

/// A path, or standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathOrStdin {
    /// A file or a directory.
    Path(PathBuf),
    /// `-`, standard input.
    Stdin,
}

/// One image of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// By tag or digest.
    Selector(Selector),
    /// By a name that it has in a layout or an archive: a reference, or any text.
    Name(String),
}

impl Place {
    /// Parses one side of a copy: text without a prefix is a registry reference.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`], naming the wrong part.
    pub fn parse(text: &str) -> Result<Self> {
        if split_form(text).is_some() || is_path(text) {
            return LocalPlace::parse(text.as_ref()).map(Place::Local);
        }
        reference(text).map(Place::Registry)
    }
}

impl FromStr for Place {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Place::parse(text)
    }
}

impl From<Reference> for Place {
    fn from(reference: Reference) -> Self {
        Place::Registry(reference)
    }
}

impl From<LocalPlace> for Place {
    fn from(local: LocalPlace) -> Self {
        Place::Local(local)
    }
}

impl LocalPlace {
    /// Parses a source of a push: text without a prefix is a path.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`], naming the wrong part.
    pub fn parse(text: &OsStr) -> Result<Self> {
        let Some(text) = text.to_str() else {
            return Ok(LocalPlace {
                form: Form::Any,
                at: PathOrStdin::Path(text.into()),
                choice: None,
            });
        };
        foreign::check(text)?;
        if let Some(reference) = text.strip_prefix(DOCKER) {
            let message =
                format!("in a registry, not on disk; wharf copy {reference} REF copies it");
            return Err(Error::new(ErrorKind::Invalid, message).target(quote(text)));
        }
        let (form, rest) = split_form(text).unwrap_or((Form::Any, text));
        local(form, rest).map_err(|error| error.target(quote(text)))
    }
}

/// Parses a reference to an image in a registry, with or without `docker://` before it. Places of
/// other kinds, and paths, are never taken for names at Docker Hub.
///
/// # Errors
/// [`ErrorKind::Invalid`], naming the wrong part, or what the text is.
pub fn reference(text: &str) -> Result<Reference> {
    let invalid = |message: String| Error::new(ErrorKind::Invalid, message).target(quote(text));
    foreign::check(text)?;
    if split_form(text).is_some() || is_path(text) {
        let message = "a place on disk; an image in a registry is REGISTRY/REPOSITORY[:TAG]";
        return Err(invalid(message.to_owned()));
    }
    let parsed = text
        .strip_prefix(DOCKER)
        .unwrap_or(text)
        .parse::<Reference>();
    parsed.map_err(|error| match text.ends_with('/') {
        true => Error::new(ErrorKind::Invalid, format!("{error} ({PATHS})")),
        false => error.into(),
    })
}

/// What other tools write before a reference.
const DOCKER: &str = "docker://";

/// How places on disk are written.
const PATHS: &str = "a layout directory is oci:DIR, archives are oci-archive:FILE and \
                     docker-archive:FILE, and ./PATH is any of them";

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Choice::Selector(selector) => selector.fmt(f),
            Choice::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for PathOrStdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathOrStdin::Path(path) => path.display().fmt(f),
            PathOrStdin::Stdin => f.write_str("standard input"),
        }
    }
}

const FORMS: [(&str, Form); 3] = [
    ("oci:", Form::Layout),
    ("oci-archive:", Form::OciArchive),
    ("docker-archive:", Form::DockerArchive),
];

fn split_form(text: &str) -> Option<(Form, &str)> {
    FORMS
        .iter()
        .find_map(|(prefix, form)| Some((*form, text.strip_prefix(prefix)?)))
}

fn local(form: Form, text: &str) -> Result<LocalPlace> {
    let (path, choice) = match text.rsplit_once('@') {
        // A truncated or mistyped digest must not become part of a path.
        Some((path, digest)) if digest.starts_with("sha256:") || digest.starts_with("sha512:") => {
            let digest: Digest = digest.parse().map_err(invalid)?;
            // The digest belongs to a name: it is part of the text after the first colon.
            if form != Form::Any && path.contains(':') {
                return with_choice(form, split_choice(form, text)?);
            }
            (path, Some(Choice::Selector(Selector::Digest(digest))))
        }
        _ => split_choice(form, text)?,
    };
    with_choice(form, (path, choice))
}

fn with_choice(form: Form, (path, choice): (&str, Option<Choice>)) -> Result<LocalPlace> {
    let at = match path {
        "" => return Err(Error::new(ErrorKind::Invalid, "no path")),
        "-" if form == Form::Layout => {
            return Err(Error::new(
                ErrorKind::Invalid,
                "a layout directory cannot be standard input",
            ));
        }
        "-" => PathOrStdin::Stdin,
        path => PathOrStdin::Path(path.into()),
    };
    Ok(LocalPlace { form, at, choice })
}

/// The text after the first colon; a plain path may have colons of its own.
fn split_choice(form: Form, text: &str) -> Result<(&str, Option<Choice>)> {
    let Some((path, choice)) = text.split_once(':').filter(|_| form != Form::Any) else {
        return Ok((text, None));
    };
    let choice = match (form, choice.parse()) {
        _ if choice.is_empty() => {
            return Err(Error::new(ErrorKind::Invalid, "no name after ':'"));
        }
        (Form::Layout | Form::OciArchive, Ok(tag)) => Choice::Selector(Selector::Tag(tag)),
        _ => Choice::Name(choice.to_owned()),
    };
    Ok((path, Some(choice)))
}

/// Whether the text is a path, or standard input: no reference begins so.
fn is_path(text: &str) -> bool {
    let begins = |start: &&str| text.starts_with(*start);
    ["/", "./", "../", "~/"].iter().any(begins) || [".", "..", "-"].contains(&text)
}

fn quote(text: &str) -> String {
    format!("\"{text}\"")
}

fn invalid(error: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Invalid, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn read(text: &str) -> LocalPlace {
        match Place::parse(text).unwrap() {
            Place::Local(local) => local,
            Place::Registry(reference) => panic!("{reference}"),
        }
    }

    fn message(text: &str) -> String {
        Place::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_prefix_says_what_it_is_and_a_colon_which_image() {
        let tag = |text: &str| Some(Choice::Selector(Selector::Tag(text.parse().unwrap())));
        let digest = Some(Choice::Selector(Selector::Digest(DIGEST.parse().unwrap())));
        let by_digest = format!("oci:a/b@{DIGEST}");
        for (text, form, path, choice) in [
            ("oci:a/b", Form::Layout, "a/b", None),
            ("oci:a/b:1", Form::Layout, "a/b", tag("1")),
            (by_digest.as_str(), Form::Layout, "a/b", digest),
            ("oci-archive:x.tar:v2", Form::OciArchive, "x.tar", tag("v2")),
            ("docker-archive:x.tar", Form::DockerArchive, "x.tar", None),
            (
                "docker-archive:x.tar:localhost:5000/n:1",
                Form::DockerArchive,
                "x.tar",
                Some(Choice::Name("localhost:5000/n:1".to_owned())),
            ),
        ] {
            assert_eq!(
                read(text),
                LocalPlace {
                    form,
                    at: PathOrStdin::Path(path.into()),
                    choice
                },
                "{text}"
            );
        }
        assert_eq!(read("docker-archive:-").at, PathOrStdin::Stdin);
    }

    #[test]
    fn all_else_is_a_reference_in_a_copy_and_a_path_in_a_push() {
        assert!(matches!(
            Place::parse("localhost:5000/a:1").unwrap(),
            Place::Registry(_)
        ));
        let path = LocalPlace::parse(OsStr::new("with:colon/a")).unwrap();
        assert_eq!(path.at, PathOrStdin::Path("with:colon/a".into()));
        assert_eq!(
            LocalPlace::parse(OsStr::new("-")).unwrap().at,
            PathOrStdin::Stdin
        );
        let chosen = LocalPlace::parse(OsStr::new(&format!("a@{DIGEST}"))).unwrap();
        assert_eq!(chosen.at, PathOrStdin::Path("a".into()));
        assert!(matches!(
            chosen.choice,
            Some(Choice::Selector(Selector::Digest(_)))
        ));
    }

    #[test]
    fn fault_b6_the_text_after_the_colon_may_be_any_name() {
        let at_digest = format!("docker.io/library/a:1@{DIGEST}");
        for prefix in ["oci:", "oci-archive:", "docker-archive:"] {
            for name in [
                "registry.example:5000/a/b:1",
                "a name",
                "b:c",
                at_digest.as_str(),
            ] {
                let place = read(&format!("{prefix}x.tar:{name}"));
                assert_eq!(place.at, PathOrStdin::Path("x.tar".into()));
                assert_eq!(place.choice, Some(Choice::Name(name.to_owned())));
            }
        }
    }

    #[test]
    fn fault_c16_a_path_is_a_path_and_a_reference_one_with_or_without_docker_before_it() {
        let registry = |text: &str| Place::Registry(text.parse().unwrap());
        for (text, expected) in [
            ("docker://localhost:5000/a:1", "localhost:5000/a:1"),
            ("docker://alpine", "docker.io/library/alpine"),
            ("docker:27", "docker.io/library/docker:27"),
        ] {
            assert_eq!(Place::parse(text).unwrap(), registry(expected), "{text}");
            assert_eq!(
                reference(text).unwrap(),
                expected.parse().unwrap(),
                "{text}"
            );
        }
        for text in ["/a", "./a", "../a:1", "~/a", ".", "..", "./dir:x"] {
            let path = PathOrStdin::Path(text.into());
            assert_eq!(
                (read(text).form, read(text).at),
                (Form::Any, path),
                "{text}"
            );
            let error = reference(text).unwrap_err().to_string();
            assert!(error.contains("a place on disk"), "{error}");
        }
        assert_eq!(read("-").at, PathOrStdin::Stdin);
        for text in ["docker-daemon:x", "containers-storage:x", "dir:x"] {
            let said = Place::parse(text).unwrap_err().to_string();
            let kind = text.trim_end_matches('x');
            assert!(
                said.starts_with(&format!("\"{text}\": {kind} is not")),
                "{said}"
            );
            assert_eq!(reference(text).unwrap_err().to_string(), said);
            let pushed = LocalPlace::parse(text.as_ref()).unwrap_err();
            assert_eq!(pushed.to_string(), said);
        }
        assert_eq!(
            LocalPlace::parse("docker://a".as_ref())
                .unwrap_err()
                .to_string(),
            "\"docker://a\": in a registry, not on disk; wharf copy a REF copies it"
        );
    }

    #[test]
    fn errors_name_the_part() {
        assert_eq!(message("oci:"), "\"oci:\": no path");
        assert_eq!(
            message("docker-archive:x:"),
            "\"docker-archive:x:\": no name after ':'"
        );
        assert_eq!(message("oci:a:"), "\"oci:a:\": no name after ':'");
        assert!(message("oci:a@sha256:00").starts_with("\"oci:a@sha256:00\": digest"));
        assert!(message("oci:-").contains("cannot be standard input"));
        assert!(message("a/").contains("a layout directory is oci:DIR"));
    }
}
