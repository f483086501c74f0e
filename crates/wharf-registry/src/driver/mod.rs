//! Stores the bytes of a registry: a [`Driver`] knows nothing of their meaning.
//!
//! A driver keeps small objects under typed keys, and upload sessions. The rules of a registry are
//! written once, above it, in [`crate::storage`]. The [`Version`] of an object reveals concurrent
//! writes: no driver locks more than one object, and none needs files.

pub mod disk;
mod interface;
mod key;
mod memory;
mod session;

pub use disk::Disk;
pub use interface::{Applied, Driver, Entry, Object, OpenSession, Stat, Version, When};
pub use key::{Folder, Key};
pub use memory::Memory;
pub use session::{Session, SessionId, SessionIdError};
