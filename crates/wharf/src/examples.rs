//! The programs in `crates/wharf/examples`, as they are run by the tests.

/// Example: pushes an image from an OCI image layout.
///
/// ```ignore
#[doc = include_str!("../examples/push_layout.rs")]
/// ```
pub mod push_layout {}

/// Example: pushes an image of a directory, made while it is sent.
///
/// ```ignore
#[doc = include_str!("../examples/push_generated.rs")]
/// ```
pub mod push_generated {}

/// Example: pushes an image upon a base image.
///
/// ```ignore
#[doc = include_str!("../examples/push_on_base.rs")]
/// ```
pub mod push_on_base {}

/// Example: pushes to two registries at once.
///
/// ```ignore
#[doc = include_str!("../examples/push_two.rs")]
/// ```
pub mod push_two {}

/// Example: sends a stream as a layer, compressed on the way.
///
/// ```ignore
#[doc = include_str!("../examples/stream_layer.rs")]
/// ```
pub mod stream_layer {}

/// Example: attaches a file to an image, such as an SBOM.
///
/// ```ignore
#[doc = include_str!("../examples/attach_artifact.rs")]
/// ```
pub mod attach_artifact {}

/// Example: reads config, layers and files of an image.
///
/// ```ignore
#[doc = include_str!("../examples/read_image.rs")]
/// ```
pub mod read_image {}

/// Example: prints the progress of a push.
///
/// ```ignore
#[doc = include_str!("../examples/progress.rs")]
/// ```
pub mod progress {}
