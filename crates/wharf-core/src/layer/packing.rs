//! How a layer's tar is packed while it is sent, and what that makes it.

use wharf_oci::{Compression, MediaType};

use super::{Settings, ZstdSettings, gzip, zstd};
use crate::blob::ByteStream;
use crate::{Error, ErrorKind, Result};

/// How a layer's tar is packed while it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Packing {
    /// Sent as it is.
    Plain,
    /// Compressed with gzip, which everybody reads.
    Gzip(Settings),
    /// Compressed with zstd: smaller and faster, but not read by everybody yet.
    Zstd(ZstdSettings),
}

impl Default for Packing {
    fn default() -> Self {
        Packing::Gzip(Settings::default())
    }
}

impl Packing {
    /// The compression alone, without its settings.
    pub fn compression(&self) -> Compression {
        match self {
            Packing::Plain => Compression::None,
            Packing::Gzip(_) => Compression::Gzip,
            Packing::Zstd(_) => Compression::Zstd,
        }
    }

    /// Packs a stream on its way, off the reactor.
    pub fn pack(&self, stream: ByteStream) -> ByteStream {
        match self {
            Packing::Plain => stream,
            Packing::Gzip(settings) => gzip(stream, settings),
            Packing::Zstd(settings) => zstd(stream, settings),
        }
    }
}

/// From which house the media types of an image are; those of an image must all be from one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Family {
    /// `application/vnd.oci.image.…`
    #[default]
    Oci,
    /// `application/vnd.docker.…`, schema 2.
    Docker,
}

impl Family {
    /// The media type of an image manifest.
    pub fn manifest(self) -> MediaType {
        match self {
            Family::Oci => MediaType::OCI_IMAGE_MANIFEST,
            Family::Docker => MediaType::DOCKER_MANIFEST,
        }
    }

    /// The media type of an image config.
    pub fn config(self) -> MediaType {
        match self {
            Family::Oci => MediaType::OCI_IMAGE_CONFIG,
            Family::Docker => MediaType::DOCKER_CONFIG,
        }
    }

    /// The media type of a layer that is compressed so.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for what docker itself does not read: its family is for gzip.
    pub fn layer(self, compression: Compression) -> Result<MediaType> {
        match (self, compression) {
            (Family::Oci, Compression::None) => Ok(MediaType::OCI_LAYER),
            (Family::Oci, Compression::Gzip) => Ok(MediaType::OCI_LAYER_GZIP),
            (Family::Oci, Compression::Zstd) => Ok(MediaType::OCI_LAYER_ZSTD),
            (Family::Docker, Compression::Gzip) => Ok(MediaType::DOCKER_LAYER_GZIP),
            (Family::Docker, Compression::None | Compression::Zstd) => Err(Error::new(
                ErrorKind::Unsupported,
                "docker's media types are for layers compressed with gzip; use those of the OCI",
            )),
        }
    }
}
