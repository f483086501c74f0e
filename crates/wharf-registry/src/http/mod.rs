//! The HTTP face: what a request means, what it may do, and how it is answered.

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
