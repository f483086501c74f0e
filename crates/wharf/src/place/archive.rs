//! Archives as destinations: their names in the file, and their end.

use wharf_oci::{Reference, Tag};

use super::address::{Choice, LocalPlace, PathOrStdin};
use super::source::OpenedSource;
use crate::store::archive::{DockerArchiveWriter, OciArchiveWriter, Output};
use crate::{Error, ErrorKind, Result};

/// An archive that a copy writes, and that is ended after it.
#[derive(Clone, Debug)]
pub(super) enum WrittenArchive {
    Docker(DockerArchiveWriter),
    Oci(OciArchiveWriter),
}

impl WrittenArchive {
    /// Ends the archive: a file gets its name.
    pub(super) async fn finish(&self) -> Result<()> {
        match self {
            WrittenArchive::Docker(archive) => archive.finish().await,
            WrittenArchive::Oci(archive) => archive.finish().await,
        }
    }
}

/// Where the archive at a destination is written to: `-` is standard output there.
pub(super) fn output(at: &PathOrStdin) -> Output {
    match at {
        PathOrStdin::Path(path) => Output::Path(path.clone()),
        PathOrStdin::Stdin => Output::Writer(Box::new(std::io::stdout()), name(at)),
    }
}

/// The name of the output in messages.
pub(super) fn name(at: &PathOrStdin) -> String {
    match at {
        PathOrStdin::Path(path) => path.display().to_string(),
        PathOrStdin::Stdin => "standard output".to_owned(),
    }
}

/// The names that an image gets in a docker archive: the one that is written at the place, else
/// those that it has at its source. A name without a tag means `latest`.
///
/// # Errors
/// [`ErrorKind::Invalid`] for a text that is no name of an image.
pub(super) fn docker_names(local: &LocalPlace, source: &OpenedSource) -> Result<Vec<String>> {
    if let Some(name) = written_name(local)? {
        return Ok(vec![name]);
    }
    let names = source.name.iter().chain(&source.names);
    let mut all: Vec<String> = Vec::new();
    for name in names.filter(|name| is_tagged(name)) {
        if !all.contains(name) {
            all.push(name.clone());
        }
    }
    Ok(all)
}

/// The name of an image that is written at a destination, with a tag.
///
/// # Errors
/// [`ErrorKind::Invalid`] for a text that is no name of an image.
pub(super) fn written_name(local: &LocalPlace) -> Result<Option<String>> {
    match &local.choice {
        Some(Choice::Name(name)) => named(name)
            .map(Some)
            .map_err(|error| error.target(name).target(name_of(local))),
        Some(choice) => {
            let message = format!("{choice} is no name of an image");
            Err(Error::new(ErrorKind::Invalid, message).target(name_of(local)))
        }
        None => Ok(None),
    }
}

fn name_of(local: &LocalPlace) -> String {
    name(&local.at)
}

fn named(name: &str) -> Result<String> {
    let reference: Reference = name.parse()?;
    match (reference.tag(), reference.digest()) {
        (_, Some(_)) => {
            let message = "a name in an archive has a tag, and no digest";
            Err(Error::new(ErrorKind::Invalid, message))
        }
        (Some(_), None) => Ok(name.to_owned()),
        (None, None) => Ok(format!("{name}:{}", Tag::latest())),
    }
}

/// Whether a text names an image with a tag, and no digest.
fn is_tagged(name: &str) -> bool {
    let reference = name.parse::<Reference>();
    reference.is_ok_and(|name| name.tag().is_some() && name.digest().is_none())
}
