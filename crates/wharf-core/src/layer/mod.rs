//! Layers: making, compressing and remembering them.
//!
//! A [`LayerInput`] is a source of bytes. It becomes a [`PendingLayer`], which [`crate::copy`]
//! sends alone or as part of a [`NewImage`]. Digest, size and diff id are learned in that one pass.

mod added;
mod blocks;
mod capability;
mod compress;
mod facts;
mod files;
mod head;
mod image;
mod input;
mod memory;
mod packing;
mod pending;
pub(crate) mod pipe;
mod read_count;
mod tree;
mod tree_options;
mod tree_writer;
mod unpacked;
mod windows;
mod zstd;

pub use self::added::{AddedLayer, LayerForm};
pub use self::compress::{Settings, gzip};
pub use self::files::PlacedFile;
pub use self::image::NewImage;
pub use self::input::LayerInput;
pub use self::memory::LayerMemory;
pub use self::packing::{Family, Packing};
pub(crate) use self::pending::Diff;
pub use self::pending::{LayerKey, MadeLayer, PendingLayer};
pub(crate) use self::read_count::ReadCount;
pub use self::tree_options::{Modes, Owners, Times, TreeOptions};
pub use self::zstd::{ZstdSettings, zstd};
