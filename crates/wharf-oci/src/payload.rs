//! The parsed forms of manifests.

use crate::{ArtifactManifest, ImageManifest, Index, Schema1};

/// What a manifest says, by kind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are images, and it lives behind a pointer"
)]
pub enum Payload {
    /// An image, or an artifact in the form of one.
    Image(ImageManifest),
    /// A manifest of manifests.
    Index(Index),
    /// An artifact in the form that OCI dropped.
    Artifact(ArtifactManifest),
    /// A Docker schema 1 image.
    Schema1(Schema1),
}
