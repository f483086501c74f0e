//! Layers: how they are made and compressed, and what is remembered of it.
//!
//! A [`LayerInput`] says where bytes come from; made a [`PendingLayer`] it is sent by
//! [`crate::copy`], alone or as part of a [`NewImage`], and everything about it is learned in that
//! one pass: digest, size and diff id.

mod blocks;
mod compress;
mod facts;
mod image;
mod input;
mod memory;
mod packing;
mod pending;
mod pipe;
mod tree;
mod unpacked;
mod zstd;

pub use self::compress::{Settings, gzip};
pub use self::image::NewImage;
pub use self::input::LayerInput;
pub use self::memory::LayerMemory;
pub use self::packing::{Family, Packing};
pub(crate) use self::pending::Diff;
pub use self::pending::{LayerKey, MadeLayer, PendingLayer};
pub use self::tree::{Owners, Times, TreeOptions};
pub use self::zstd::{ZstdSettings, zstd};
