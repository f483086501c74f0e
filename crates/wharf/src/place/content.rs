//! Opens a source on disk for content of known digest, without selecting a root in it.

use std::sync::Arc;

use super::address::{LocalPlace, PathOrStdin};
use super::options::{Part, PlaceOptions};
use super::source::{blocking, is_directory, open_archive};
use crate::store::archive::Archive;
use crate::store::{Layout, Source};
use crate::{Error, ErrorKind, Result};

/// The source at a place. Of a docker archive it has the configs and the layers that are compressed.
///
/// # Errors
/// Those of opening a layout or an archive.
pub(crate) async fn source(local: &LocalPlace, options: &PlaceOptions) -> Result<Arc<dyn Source>> {
    let directory = is_directory(local).map_err(|error| Error::io(&local.at, error))?;
    if let (PathOrStdin::Path(path), true) = (&local.at, directory) {
        let path = path.clone();
        return blocking(move || Ok(Arc::new(Layout::open(path)?) as Arc<dyn Source>)).await;
    }
    match open_archive(local, Part::One, options).await? {
        Archive::Oci(archive) => Ok(Arc::new(archive)),
        Archive::Docker(archive) => {
            for image in archive.images() {
                // Learns the digests of its layers.
                archive.draft(image).await?;
            }
            Ok(Arc::new(archive))
        }
        _ => Err(Error::new(ErrorKind::Unsupported, "this kind of archive").target(&local.at)),
    }
}
