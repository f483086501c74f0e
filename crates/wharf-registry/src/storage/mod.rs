//! Where a registry keeps its content.
//!
//! A [`Storage`] hands out the library's stores, one for each repository, and adds what only a
//! registry needs: upload sessions, mounts, and the list of repositories.

pub mod disk;
mod interface;
mod memory;
mod session;

pub use disk::Disk;
pub use interface::Storage;
pub use memory::Memory;
pub use session::{SessionId, SessionIdError};
