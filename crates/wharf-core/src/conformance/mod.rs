//! Checks that a store keeps the contract of [`Source`](crate::Source) and
//! [`Store`](crate::Store). Behind the feature `conformance`, for the tests of a store.
//!
//! A test says how an empty store is made, and looks at what [`check`] found:
//!
//! ```
//! # use wharf_core as wharf;
//! use std::sync::Arc;
//!
//! use wharf::conformance::{Stores, check};
//! use wharf::store::{Memory, Store};
//!
//! struct Memories;
//!
//! #[async_trait::async_trait]
//! impl Stores for Memories {
//!     async fn empty(&self) -> Arc<dyn Store> {
//!         Arc::new(Memory::new())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let found = check(&Memories).await;
//! assert!(found.breaches().is_empty(), "{found}");
//! // What the store does not offer is its own decision, so a test states it.
//! assert_eq!(found.unsupported(), ["lasting::is_there_after_reopening"]);
//! # }
//! ```
//!
//! The check of each clause gets a store of its own. An error of kind
//! [`Unsupported`](crate::ErrorKind::Unsupported) is accepted only from methods with a default.

mod blobs;
mod clause;
mod content;
mod copies;
mod deletion;
mod found;
mod ingestion;
mod lasting;
mod manifests;
mod paging;
mod referring;
mod run;
mod stores;
#[cfg(test)]
mod tests;

pub use self::found::Found;
pub use self::run::check;
pub use self::stores::Stores;
