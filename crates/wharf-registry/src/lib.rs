//! The embedded registry: an HTTP face over content in a directory, or in memory.
//!
//! [`Registry`] answers requests out of a [`Storage`](storage::Storage), which keeps the rules of
//! a registry above a [`Driver`](driver::Driver); [`Server`] puts it on a socket. It follows the
//! distribution-spec 1.1 for push, pull, content discovery (tags, referrers) and content
//! management (deletion), and takes what the specification leaves open: blobs as the body of a
//! POST, mounts that do not name a repository, several tags on one PUT of a manifest, and
//! conditional requests (RFC 9110) on manifests, decided together with the write.

mod access;
pub mod driver;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod registry;
pub mod storage;

pub use access::{Access, Action, Caller, Decision};
pub use http::Server;
pub use registry::{Referrers, Registry};
