//! The file system of an image: what its layers are together, as a container would see it
//! (image-spec: "Image Layer Filesystem Changeset").
//!
//! Layers are read twice. The first pass reads their headers, and applies them one upon the other
//! to a tree of names; the second writes what is left of each layer. So memory grows with the
//! number of entries and not with their size, and each path is written once. A single file is found
//! in the same tree, made of no more layers than the answer needs.

mod acts;
mod directory;
mod facts;
mod find;
pub(crate) mod head;
mod kept;
mod layer;
mod left_out;
mod listing;
mod names;
mod root_fs;
mod seen;
mod tree;
#[cfg(target_os = "linux")]
mod unpack;
mod walk;

pub(crate) use self::find::find;
pub(crate) use self::kept::Kept;
pub use self::left_out::LeftOut;
pub use self::listing::{FileEntry, FileKind, list};
pub(crate) use self::names::{parts, shown};
pub use self::root_fs::RootFs;
