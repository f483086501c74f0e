//! The rules of a registry, above whatever [`Driver`](crate::driver::Driver) keeps its bytes.
//!
//! Content is in one pool, each digest once. It is read through a link of a repository only, so a
//! repository never shows what was not pushed or mounted to it. A link is made after its content.
//!
//! A manifest is there when its link is. Its referrer link is made before its link, and its tags
//! after it; deletion goes the other way. What a process that dies leaves is not shown, or is a
//! manifest with fewer tags, and the same change can be made again. `manifests.rs` says how
//! changes at the same time stay apart.
//!
//! Deletion removes links. The pool keeps the bytes, because nothing is collected yet. A mount
//! touches them, so that a later collection takes them for young.

mod blobs;
mod condition;
mod filling;
mod link;
mod manifests;
mod referrers;
mod repositories;
mod sessions;
mod upgrade;

pub use condition::{Condition, EntityTags, Written};
pub use referrers::{ReferrersPage, ReferrersQuery};
pub use repositories::Storage;
