//! The HTTP interface: parses a request, checks its rights, and answers it.

mod activity;
mod blobs;
mod body;
mod conditions;
mod connections;
mod content_range;
mod dispatch;
mod head;
mod hosts;
mod lasting;
mod limits;
mod manifests;
mod overload;
mod page;
mod patience;
mod referrers;
mod respond;
pub(crate) mod route;
mod server;
mod tags;
mod uploads;

pub use limits::Limits;
pub use server::Server;
