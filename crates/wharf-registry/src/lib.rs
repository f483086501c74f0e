//! The embedded registry: an HTTP face over the library's stores.
//!
//! [`Registry`] answers requests out of a [`storage::Storage`]; [`Server`] puts it on a socket.
//! It follows the distribution-spec 1.1 for push, pull and content discovery of tags; referrers
//! and deletion of manifests are not there yet, and are answered so.

mod blobs;
mod body;
mod manifests;
mod page;
mod patience;
mod registry;
mod respond;
mod route;
mod server;
pub mod storage;
mod tags;
mod uploads;

pub use registry::Registry;
pub use server::Server;
