//! The HTTP interface: parses a request, checks its rights, and answers it.

mod blobs;
mod body;
mod conditions;
mod dispatch;
mod manifests;
mod page;
mod patience;
mod referrers;
mod respond;
pub(crate) mod route;
mod server;
mod tags;
mod uploads;

pub use server::Server;
