//! Annotation keys that several programs understand.

/// The name of a manifest in an image layout: a tag, or a whole reference.
pub const ANNOTATION_REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The full reference under which containerd (and `docker save`) knows an image.
pub const ANNOTATION_CONTAINERD_NAME: &str = "io.containerd.image.name";
/// The reference of the image that this one is based on.
pub const ANNOTATION_BASE_NAME: &str = "org.opencontainers.image.base.name";
/// The digest of the image that this one is based on.
pub const ANNOTATION_BASE_DIGEST: &str = "org.opencontainers.image.base.digest";
/// When the content was made, RFC 3339.
pub const ANNOTATION_CREATED: &str = "org.opencontainers.image.created";
/// The authors of the content.
pub const ANNOTATION_AUTHORS: &str = "org.opencontainers.image.authors";
/// The address of further information.
pub const ANNOTATION_URL: &str = "org.opencontainers.image.url";
/// The address of the source code.
pub const ANNOTATION_SOURCE: &str = "org.opencontainers.image.source";
/// The version of the packaged software.
pub const ANNOTATION_VERSION: &str = "org.opencontainers.image.version";
/// The revision of the source code.
pub const ANNOTATION_REVISION: &str = "org.opencontainers.image.revision";
/// A title for people; for a blob its file name.
pub const ANNOTATION_TITLE: &str = "org.opencontainers.image.title";
/// A description for people.
pub const ANNOTATION_DESCRIPTION: &str = "org.opencontainers.image.description";
/// The licences, as an SPDX expression.
pub const ANNOTATION_LICENSES: &str = "org.opencontainers.image.licenses";
/// The digest of the image that a child of the same index attests something about, as BuildKit
/// writes it.
pub const ANNOTATION_ATTESTED: &str = "vnd.docker.reference.digest";
