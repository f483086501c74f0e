//! Repositories in registries: the distribution spec spoken over HTTP.

mod answer;
mod blobs;
mod client;
mod endpoint;
mod guard;
mod host;
mod manifests;
mod repository;
mod scheme;
mod sighted;
mod transport;
mod upload;
mod uploads;

pub use self::client::{Client, ClientBuilder, Insecure};
pub use self::repository::RemoteRepository;
pub use self::transport::Timeouts;
