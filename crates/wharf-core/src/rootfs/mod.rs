//! The file system of an image: what its layers are together, as a container would see it
//! (image-spec: "Image Layer Filesystem Changeset").
//!
//! Layers are read twice. The first pass reads their headers, and applies them one upon the other
//! to a tree of names; the second writes what is left of each layer. So memory grows with the
//! number of entries and not with their size, and each path is written once.

mod head;
mod layer;
mod names;
mod root_fs;
mod tree;

pub use root_fs::RootFs;
