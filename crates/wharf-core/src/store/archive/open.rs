//! Opens an archive of any kind.

use std::sync::Arc;

use wharf_oci::{INDEX_FILE, OCI_LAYOUT_FILE};

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
/// a docker archive, so that layers are compressed on the way.
///
/// # Errors
/// [`ErrorKind::NotFound`] and [`ErrorKind::Io`] about the file; [`ErrorKind::Invalid`] if it is
/// not an archive of images; [`ErrorKind::Corrupt`] if it is truncated or damaged;
/// [`ErrorKind::NoSpace`] if it cannot be spooled; [`ErrorKind::Unsupported`] for archives of
/// docker before 1.10, and for sparse entries.
pub async fn open(input: Input, options: ArchiveOptions) -> Result<Archive> {
    blocking(move || open_now(input, options)).await?
}

fn open_now(input: Input, options: ArchiveOptions) -> Result<Archive> {
    let members = Arc::new(Members::scan(unpack(input, &options.spool_dir)?)?);
    let is_layout = members.has(OCI_LAYOUT_FILE) && members.has(INDEX_FILE);
    match docker_document::read(&members)? {
        Some(listed) if !is_layout || any_plain_layer(&members, &listed)? => Ok(Archive::Docker(
            DockerArchive::read(members, listed, options)?,
        )),
        _ if is_layout => Ok(Archive::Oci(LayoutReader::new(members)?)),
        _ => Err(nothing_inside(&members)),
    }
}

/// Whether a listed layer is uncompressed in the archive. A missing layer is not.
fn any_plain_layer(members: &Members, listed: &[ManifestEntry]) -> Result<bool> {
    for path in listed
        .iter()
        .filter_map(|entry| entry.layers.as_ref())
        .flatten()
    {
        if let Some(region) = members.find(path)?
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
