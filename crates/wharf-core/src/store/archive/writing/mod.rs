//! Archives that are written: a tar, its members, and what lists them.
//!
//! The tar is a file with a place for each member, so that several are written at once, or a stream
//! with one member after the other. Nothing is where it belongs before the archive is finished.

mod catalogue;
mod docker;
mod docker_listing;
mod head;
mod legacy;
mod oci;
mod output;
mod placed;
mod streamed;
mod tarball;
#[cfg(test)]
mod tests;

pub use self::docker::{DockerArchiveWriter, SavedRepository};
pub use self::oci::OciArchiveWriter;
pub use self::output::Output;
