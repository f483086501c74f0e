//! Repositories in registries: the distribution spec spoken over HTTP.

mod answer;
mod auth;
mod blobs;
mod client;
mod endpoint;
mod guard;
mod host;
mod janitor;
mod journal;
mod manifests;
mod repository;
mod sessions;
mod transport;
mod upload;
mod uploads;

pub use self::auth::Access;
pub use self::client::{Client, ClientBuilder, Insecure};
pub use self::repository::RemoteRepository;
pub use self::transport::Timeouts;
