//! How a layer's tar is compressed while it is sent, and the resulting media type.

use wharf_oci::{Compression, MediaType};

use super::{Settings, ZstdSettings, gzip, zstd};
use crate::blob::ByteStream;
use crate::{Error, ErrorKind, Result};

/// How a layer's tar is compressed while it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Packing {
    /// Sent as it is.
    Plain,
    /// Compressed with gzip, which every tool reads.
    Gzip(Settings),
    /// Compressed with zstd: smaller and faster, but not every tool reads it yet.
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

    /// Compresses a stream on the way, off the reactor.
    pub fn pack(&self, stream: ByteStream) -> ByteStream {
        match self {
            Packing::Plain => stream,
            Packing::Gzip(settings) => gzip(stream, settings),
            Packing::Zstd(settings) => zstd(stream, settings),
        }
    }
}

/// The media-type family of an image. An image must not mix families.
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

    /// The media type of an index.
    pub fn index(self) -> MediaType {
        match self {
            Family::Oci => MediaType::OCI_IMAGE_INDEX,
            Family::Docker => MediaType::DOCKER_MANIFEST_LIST,
        }
    }

    /// The media type of an image config.
    pub fn config(self) -> MediaType {
        match self {
            Family::Oci => MediaType::OCI_IMAGE_CONFIG,
            Family::Docker => MediaType::DOCKER_CONFIG,
        }
    }

    /// The media type of a layer with this compression.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for compressions that docker itself does not read.
    pub fn layer(self, compression: Compression) -> Result<MediaType> {
        match (self, compression) {
            (Family::Oci, Compression::None) => Ok(MediaType::OCI_LAYER),
            (Family::Oci, Compression::Gzip) => Ok(MediaType::OCI_LAYER_GZIP),
            (Family::Oci, Compression::Zstd) => Ok(MediaType::OCI_LAYER_ZSTD),
            (Family::Docker, Compression::Gzip) => Ok(MediaType::DOCKER_LAYER_GZIP),
            (Family::Docker, Compression::None | Compression::Zstd) => Err(Error::new(
                ErrorKind::Unsupported,
                "Docker's media types allow only gzip layers; use OCI media types",
            )),
        }
    }
}
