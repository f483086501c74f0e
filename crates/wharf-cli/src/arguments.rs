//! Arguments of several commands, as types: they are parsed before a command runs.

use std::error;
use std::ffi::OsStr;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use wharf::credentials::whole_registry;
use wharf::place::{LocalPlace, Place, reference};
use wharf::{Error, ErrorKind};
use wharf_oci::{Reference, Registry, Repository};

/// An image in a registry: `REGISTRY/REPOSITORY[:TAG][@DIGEST]`.
#[derive(Clone, Debug)]
pub(crate) struct Image(pub(crate) Reference);

/// A repository in a registry: `REGISTRY/REPOSITORY`.
#[derive(Clone, Debug)]
pub(crate) struct InRepository(pub(crate) Repository);

/// A registry to log in to: `ghcr.io`, `localhost:5000`.
#[derive(Clone, Debug)]
pub(crate) struct Host(pub(crate) Registry);

/// A place of any kind, in a registry or on disk.
#[derive(Clone, Debug)]
pub(crate) struct Anywhere {
    pub(crate) place: Place,
    /// The text as typed.
    pub(crate) typed: String,
}

/// A file or directory that may hold an image, or standard input.
#[derive(Clone, Debug)]
pub(crate) struct OnDisk(pub(crate) LocalPlace);

/// An error that names the argument itself, so that nothing is put before it.
#[derive(Debug)]
pub(crate) struct Unreadable(pub(crate) Error);

impl FromStr for Image {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        Ok(Image(reference(text)?))
    }
}

impl FromStr for InRepository {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let invalid = |message: String| Error::new(ErrorKind::Invalid, message);
        if text.parse::<Registry>().is_ok() {
            // The apparent tag is a port.
            let message = format!("{text} names no repository, as {text}/team/app does");
            return Err(invalid(message).into());
        }
        let reference = reference(text)?;
        if reference.tag().is_some() || reference.digest().is_some() {
            let message = "a repository has no tag and no digest: write REGISTRY/REPOSITORY";
            return Err(invalid(message.to_owned()).target(text).into());
        }
        Ok(InRepository(reference.repository().clone()))
    }
}

impl FromStr for Host {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let registry = whole_registry(text).map_err(|error| error.target("HOST"));
        Ok(Host(registry?))
    }
}

impl FromStr for Anywhere {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        Ok(Anywhere {
            place: text.parse()?,
            typed: text.to_owned(),
        })
    }
}

impl Anywhere {
    /// The same error; for a reference that is also the name of a file or directory it says so.
    pub(crate) fn hinted(&self, error: Error) -> Error {
        match self.place {
            Place::Registry(_) => hinted(error, &self.typed),
            Place::Local(_) => error,
        }
    }
}

/// Names the file or directory of this name, if there is one.
pub(crate) fn hinted(error: Error, text: &str) -> Error {
    let path = Path::new(text);
    let hint = match () {
        () if path.is_dir() => format!("did you mean the directory oci:{text}?"),
        () if path.is_file() => {
            format!("did you mean the file docker-archive:{text} or oci-archive:{text}?")
        }
        () => return error,
    };
    Error::new(error.kind(), format!("{error}; {hint}"))
}

/// What a command with an argument of its own and with subcommands is to do: `Ok` for the argument.
///
/// # Errors
/// [`ErrorKind::Invalid`] if the command line has both or neither.
pub(crate) fn only_one<A, S>(
    command: &str,
    argument: Option<A>,
    subcommand: Option<S>,
) -> Result<Result<A, S>, Error> {
    match (argument, subcommand) {
        (Some(argument), None) => Ok(Ok(argument)),
        (None, Some(subcommand)) => Ok(Err(subcommand)),
        _ => {
            let message = format!("wharf {command} takes one argument or a subcommand, not both");
            Err(Error::new(ErrorKind::Invalid, message))
        }
    }
}

impl Anywhere {
    /// The repository that it is.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it is another place, or has a tag or digest.
    pub(crate) fn repository(&self) -> Result<Repository, Error> {
        let InRepository(repository) = self.typed.parse().map_err(|Unreadable(error)| error)?;
        Ok(repository)
    }
}

impl OnDisk {
    /// Parses text without a prefix as a path, which need not be valid UTF-8.
    ///
    /// # Errors
    /// Names the wrong part.
    pub(crate) fn parse(text: &OsStr) -> Result<Self, Unreadable> {
        Ok(OnDisk(LocalPlace::parse(text)?))
    }
}

impl From<Error> for Unreadable {
    fn from(error: Error) -> Self {
        Unreadable(error)
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl error::Error for Unreadable {}
