//! Where a registry keeps its content.
//!
//! A [`Storage`] hands out the library's stores, one for each repository, and adds what only a
//! registry needs: upload sessions, mounts, conditional writes, deletion of blobs, lists of
//! referrers and of repositories.

mod condition;
pub mod disk;
mod interface;
mod listing;
mod memory;
mod session;

pub use condition::{Condition, EntityTags, Written};
pub use disk::Disk;
pub use interface::Storage;
pub use listing::{ReferrersPage, ReferrersQuery};
pub use memory::Memory;
pub use session::{SessionId, SessionIdError};
