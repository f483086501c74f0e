//! Reading images: config, layers, uncompressed content, one file. Changed images, images upon a
//! base, and new artifacts.
//!
//! A [`StoredImage`] is an image manifest of a [`Source`](crate::store::Source). Everything is
//! streamed and checked: blobs against their digests, uncompressed layers against the diff ids of
//! the config. An interrupted read continues where it was.

mod artifact;
mod check;
mod edited;
mod edited_index;
mod edited_layer;
mod family;
mod file_set;
mod flatten;
mod loadable;
mod mutation;
mod new_index;
mod platforms;
mod rebase;
mod stored;
mod stored_file;
mod stored_layer;
mod unpack;

pub use self::artifact::NewArtifact;
pub use self::check::LayerFault;
pub use self::edited::EditedImage;
pub use self::edited_index::{Edited, EditedChild, EditedContent, EditedIndex};
pub use self::edited_layer::EditedLayer;
pub use self::file_set::{FileLayers, FileSet};
pub use self::flatten::Flattening;
pub use self::loadable::loadable;
pub use self::mutation::Mutation;
pub use self::new_index::{IndexPart, NewIndex};
pub use self::stored::StoredImage;
pub use self::stored_file::StoredFile;
pub use self::stored_layer::StoredLayer;
pub(crate) use self::unpack::unpacked;

#[cfg(test)]
mod tests;
