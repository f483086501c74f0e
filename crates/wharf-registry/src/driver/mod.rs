//! Where the bytes of a registry lie: a [`Driver`], and nothing about what they mean.
//!
//! A driver keeps small objects under typed keys, and the sessions of uploads. The rules of a
//! registry are written once, above it, in [`crate::storage`]. Two writers of one object are told
//! apart by its [`Version`]: no driver locks more than one object, and none must know files.

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
