//! Repositories in registries: the distribution spec over HTTP.

mod answer;
mod api;
mod auth;
mod client;
mod client_builder;
mod client_registry;
pub mod credentials;
mod endpoints;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod hosts;
mod journal;
pub mod memory;
mod mirrors;
mod near;
mod proxies;
mod repository;
mod settings;
mod sighted;
mod tls;
mod transport;
mod turns;

pub use self::auth::{Access, Checked};
pub use self::client::Client;
pub use self::client_builder::ClientBuilder;
pub use self::endpoints::blobs::BlobPart;
pub use self::endpoints::pages::{NextPage, Page};
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
