//! Opens an archive of any kind.

use std::collections::HashSet;
use std::sync::Arc;

use wharf_oci::{Digest, INDEX_FILE, OCI_LAYOUT_FILE};

use super::docker::DockerArchive;
use super::docker_document::{self, ManifestEntry};
use super::members::Members;
use super::options::{ArchiveOptions, Input};
use super::unpack::unpack;
use crate::store::files::Files;
use crate::store::layout::LayoutReader;
use crate::verify::blocking;
use crate::{Error, ErrorKind, Result};

/// An archive, by its content.
#[derive(Debug)]
#[non_exhaustive]
pub enum Archive {
    /// An image layout in a tar.
    Oci(LayoutReader),
    /// The output of `docker save`.
    Docker(DockerArchive),
}

/// Opens the archive in `input` and scans it once.
///
/// An archive can be both an image layout and a docker archive (docker 25 and newer). If all its
/// layers are compressed it is read as a layout, so that digests are kept. Otherwise it is read as
/// a docker archive, so that layers are compressed on the way. A layout that lacks images which its
/// index lists stands for the image that `manifest.json` lists, where that is whole; see
/// [`LayoutReader::narrowed`].
///
/// # Errors
/// [`ErrorKind::NotFound`] and [`ErrorKind::Io`] about the file; [`ErrorKind::Invalid`] if it is
/// not an archive of images; [`ErrorKind::Corrupt`] if it is truncated or damaged;
/// [`ErrorKind::NoSpace`] if it cannot be spooled; [`ErrorKind::Unsupported`] for archives of
/// docker before 1.10, and for sparse entries.
pub async fn open(input: Input, options: ArchiveOptions) -> Result<Archive> {
    open_as(input, options, Reading::Best).await
}

/// How to read an archive that is both an image layout and a docker archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// As whichever serves best; see [`open`].
    #[default]
    Best,
    /// As a layout: `index.json` lists the images.
    Layout,
    /// As a docker archive: `manifest.json` lists the images.
    Docker,
}

/// Opens the archive in `input` as [`open`] does. `reading` decides how to read an archive of both
/// kinds; an archive of one kind is that.
///
/// # Errors
/// As [`open`].
pub async fn open_as(input: Input, options: ArchiveOptions, reading: Reading) -> Result<Archive> {
    blocking(move || open_now(input, options, reading)).await?
}

fn open_now(input: Input, options: ArchiveOptions, reading: Reading) -> Result<Archive> {
    let members = Arc::new(Members::scan(unpack(input, &options.spool_dir)?)?);
    let is_layout = members.has(OCI_LAYOUT_FILE) && members.has(INDEX_FILE);
    match docker_document::read(&members)? {
        Some(listed) if is_layout && reading != Reading::Docker => {
            both(members, listed, options, reading)
        }
        Some(listed) => docker(members, listed, options),
        None if is_layout => Ok(Archive::Oci(LayoutReader::new(members)?)),
        None => Err(nothing_inside(&members)),
    }
}

fn docker(
    members: Arc<Members>,
    listed: Vec<ManifestEntry>,
    options: ArchiveOptions,
) -> Result<Archive> {
    let archive = DockerArchive::read(members, listed, options)?;
    Ok(Archive::Docker(archive))
}

/// An archive of both kinds.
fn both(
    members: Arc<Members>,
    listed: Vec<ManifestEntry>,
    options: ArchiveOptions,
    reading: Reading,
) -> Result<Archive> {
    if reading == Reading::Best && any_plain_layer(&members, &listed)? {
        return docker(members, listed, options);
    }
    let configs = listed.iter().filter_map(|entry| {
        // A config that is absent is no config of an image that is whole.
        let config = docker_document::config(&members, entry).ok()?;
        Some(config.descriptor.digest)
    });
    let configs: HashSet<Digest> = configs.collect();
    let layout = LayoutReader::new(Arc::clone(&members) as _)?;
    match layout.has_all_or_one_of(&configs)? {
        (true, _) => Ok(Archive::Oci(layout)),
        (false, true) => Ok(Archive::Oci(layout.with_listed(configs))),
        (false, false) if reading == Reading::Layout => Ok(Archive::Oci(layout)),
        (false, false) => docker(members, listed, options),
    }
}

/// Whether a listed layer is uncompressed in the archive. A missing layer is not.
fn any_plain_layer(members: &Members, listed: &[ManifestEntry]) -> Result<bool> {
    for path in listed
        .iter()
        .filter_map(|entry| entry.layers.as_ref())
        .flatten()
    {
        // A link to nothing is reported when its image is read.
        if let Ok(Some(region)) = members.find(path)
            && members.packing(&region)?.is_none()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn nothing_inside(members: &Members) -> Error {
    let error = if members.has("repositories") {
        Error::new(
            ErrorKind::Unsupported,
            "docker archive without manifest.json, as docker before 1.10 wrote them: load it into \
             a newer docker and save it again",
        )
    } else {
        Error::new(
            ErrorKind::Invalid,
            "a tar, but no image archive: it has neither oci-layout with index.json nor manifest.json",
        )
    };
    error.target(members.name())
}
