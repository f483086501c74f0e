//! The embedded registry: serves content in a directory, or in memory, over HTTP.
//!
//! [`Registry`] answers requests from a [`Storage`](storage::Storage), which implements the rules
//! of a registry above a [`Driver`](driver::Driver); [`Server`] listens on a socket. It follows the
//! distribution-spec 1.1 for push, pull, content discovery (tags, referrers) and content management
//! (deletion). It also accepts optional requests: blobs as the body of a POST, mounts that do not
//! name a repository, several tags on one PUT of a manifest, and conditional requests (RFC 9110) on
//! blobs and manifests, decided together with the write.

mod access;
mod budget;
pub mod driver;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod registry;
mod share;
pub mod storage;

pub use access::{Access, Action, Caller, Decision};
pub use http::{Limits, Server};
pub use registry::{Referrers, Registry, Sizes};
