//! The embedded registry: an HTTP face over the library's stores.
//!
//! [`Registry`] answers requests out of a [`storage::Storage`]; [`Server`] puts it on a socket.
//! It follows the distribution-spec 1.1 for push, pull, content discovery (tags, referrers) and
//! content management (deletion), and takes what the specification leaves open: blobs as the body
//! of a POST, mounts that do not name a repository, several tags on one PUT of a manifest, and
//! conditional requests (RFC 9110) on manifests, decided together with the write.

mod blobs;
mod body;
mod conditions;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod manifests;
mod page;
mod patience;
mod referrers;
mod registry;
mod respond;
mod route;
mod server;
pub mod storage;
mod tags;
mod uploads;

pub use registry::{Referrers, Registry};
pub use server::Server;
