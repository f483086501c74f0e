//! Media types of one family: an image must not mix Docker's and OCI's.

use wharf_oci::{Compression, MediaType};

use crate::layer::Family;

/// The family of an image manifest.
pub(super) fn of(manifest: &MediaType) -> Family {
    match manifest.is_docker() {
        true => Family::Docker,
        false => Family::Oci,
    }
}

/// The type of a layer in this family. What is no layer, or has no type there, stays as it is.
pub(super) fn layer(media_type: &MediaType, family: Family) -> MediaType {
    let Some(compression) = media_type.compression() else {
        return media_type.clone();
    };
    if media_type.is_docker() == (family == Family::Docker) {
        return media_type.clone();
    }
    match (family, compression, media_type.is_distributable()) {
        (Family::Docker, Compression::None, true) => MediaType::DOCKER_LAYER,
        (Family::Docker, Compression::Gzip, true) => MediaType::DOCKER_LAYER_GZIP,
        (Family::Docker, Compression::Zstd, true) => MediaType::DOCKER_LAYER_ZSTD,
        (Family::Docker, Compression::None, false) => MediaType::DOCKER_FOREIGN_LAYER,
        (Family::Docker, Compression::Gzip, false) => MediaType::DOCKER_FOREIGN_LAYER_GZIP,
        (Family::Docker, Compression::Zstd, false) => media_type.clone(),
        (Family::Oci, Compression::None, true) => MediaType::OCI_LAYER,
        (Family::Oci, Compression::Gzip, true) => MediaType::OCI_LAYER_GZIP,
        (Family::Oci, Compression::Zstd, true) => MediaType::OCI_LAYER_ZSTD,
        (Family::Oci, Compression::None, false) => MediaType::OCI_LAYER_NONDISTRIBUTABLE,
        (Family::Oci, Compression::Gzip, false) => MediaType::OCI_LAYER_NONDISTRIBUTABLE_GZIP,
        (Family::Oci, Compression::Zstd, false) => MediaType::OCI_LAYER_NONDISTRIBUTABLE_ZSTD,
    }
}
