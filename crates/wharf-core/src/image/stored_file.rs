//! A file out of a stored image.

use std::fmt;
use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use wharf_oci::Descriptor;

use super::StoredLayer;
use crate::blob::ByteStream;
use crate::rootfs::{self, Kept};
use crate::verify::blocking;
use crate::{Error, ErrorKind, Result, file};

/// A file out of an image. Its content is kept: in memory up to a mebibyte, else in a temporary
/// file without a name. The layer that it came from was checked to its end.
pub struct StoredFile {
    path: String,
    layer: Descriptor,
    kept: Kept,
}

impl StoredFile {
    /// The file at `path` in these layers, the lowest first, as [`StoredImage::file`] finds it. What
    /// is large is kept in the directory `spool`.
    ///
    /// [`StoredImage::file`]: super::StoredImage::file
    ///
    /// # Errors
    /// As [`StoredImage::file`].
    pub async fn find(layers: &[StoredLayer], path: &[u8], spool: &Path) -> Result<Self> {
        let found = rootfs::find(layers, path, spool).await?;
        let gone = || Error::new(ErrorKind::NotFound, "no such layer");
        let layer = layers.get(found.layer).ok_or_else(gone)?;
        Ok(StoredFile {
            path: found.path,
            layer: layer.descriptor().clone(),
            kept: found.kept,
        })
    }

    /// Its absolute path in the image, after links were followed.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.kept.size
    }

    /// Its permissions, the lower twelve bits of its mode.
    pub fn mode(&self) -> u32 {
        self.kept.mode & 0o7777
    }

    /// The layer that it came from.
    pub fn layer(&self) -> &Descriptor {
        &self.layer
    }

    /// Its bytes, as a stream.
    pub fn into_stream(self) -> ByteStream {
        file::reader(self.kept.content, &self.path)
    }

    /// All of its bytes; for small files.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for more than `limit` bytes; the system's error about the temporary
    /// file.
    pub async fn read_all(self, limit: u64) -> Result<Bytes> {
        let size = self.kept.size;
        if size > limit {
            let message = format!("{size} bytes, more than the {limit} allowed here");
            return Err(Error::new(ErrorKind::Invalid, message).target(self.path));
        }
        let mut content = self.kept.content;
        let read = blocking(move || {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes).map(|_| bytes)
        });
        let bytes = read.await?.map_err(|error| Error::io(&self.path, error))?;
        Ok(bytes.into())
    }
}

impl fmt::Debug for StoredFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredFile")
            .field("path", &self.path)
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}
