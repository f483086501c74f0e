//! Archives in one file: the output of `docker save`, or an image layout in a tar.
//!
//! The kind of an archive is found from its bytes, never from its name. It may be compressed, or
//! come from a pipe. Its tar is scanned once, and content is read from its place in the file.

mod docker;
mod docker_content;
mod docker_document;
mod docker_image;
mod docker_layers;
mod docker_select;
mod inflate;
mod members;
mod open;
mod options;
mod scan;
mod unpack;
mod writing;

pub use self::docker::DockerArchive;
pub use self::docker_image::DockerImage;
pub use self::docker_select::ImageChoice;
pub use self::open::{Archive, Reading, open, open_as};
pub use self::options::{ArchiveOptions, Input};
pub use self::writing::{DockerArchiveWriter, OciArchiveWriter, Output, SavedRepository};

pub(crate) use self::unpack::peel;
