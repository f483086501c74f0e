//! Layers: how they are made and compressed, and what is remembered of it.

mod compress;
mod memory;
mod once;
mod pending;

pub use self::compress::{Settings, gzip};
pub use self::memory::LayerMemory;
pub use self::pending::{LayerKey, MadeLayer, PendingLayer};
