//! The rules of a registry, above any [`Driver`](crate::driver::Driver).
//!
//! Content is in one pool, each digest once. It is read through a link of a repository only, so a
//! repository never shows what was not pushed or mounted to it. A link is made after its content.
//!
//! A manifest is there if its link is. Its referrer link is made before its link, and its tags
//! after it; deletion removes them in reverse order. A process that dies leaves objects that are
//! not shown, or a manifest with fewer tags, and the same change can be made again. `manifests.rs`
//! describes concurrent changes.
//!
//! Deletion removes links. The pool keeps the bytes, because there is no garbage collection yet. A
//! mount touches them, so that a later collection sees them as young.

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
