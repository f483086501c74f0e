//! Repositories in registries: the distribution spec spoken over HTTP.

mod answer;
mod api;
mod auth;
mod blobs;
mod client;
mod client_tls;
pub mod credentials;
mod delete;
mod endpoint;
mod explain;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod host;
mod janitor;
mod journal;
mod link;
mod manifests;
pub mod memory;
mod mirrors;
mod near;
mod proxies;
mod put_manifest;
mod referrers;
mod referrers_api;
mod referrers_index;
mod repository;
mod scheme;
mod sending;
mod sessions;
mod settings;
mod sighted;
mod tags;
mod tls;
mod transport;
mod turns;
mod upload;
mod uploads;
mod words;

pub use self::auth::{Access, Checked};
pub use self::client::{Client, ClientBuilder};
pub use self::mirrors::RemoteSource;
pub use self::near::Neighbour;
pub use self::proxies::{Exceptions, Proxies, Proxy};
pub use self::repository::RemoteRepository;
pub use self::settings::{Insecure, ReferrersFallback};
pub use self::tls::{Certificates, CertsDirs, Identity, Tls, TlsSource, Verification};
pub use self::transport::{
    EndpointClass, Leniency, LeniencyObserver, Limits, PauseObserver, RequestClass, RequestCounts,
    Resolver, Timeouts,
};
