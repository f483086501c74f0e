//! Layers: how they are compressed, and what is remembered of it.

mod compress;
mod memory;

pub use self::compress::{Settings, gzip};
pub use self::memory::LayerMemory;
