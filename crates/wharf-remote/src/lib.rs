//! Repositories in registries: the distribution spec over HTTP.
//!
//! From the top down: a client (`client`, its settings in `client_builder`) makes repositories
//! (`repository`, or `mirrors` to read from), which delegate to `endpoints`. Those send requests with
//! `api`, which shows credentials (`auth`, `credentials`) and goes by what is known of a host
//! (`hosts`, and `memory` between runs). `transport` makes one HTTP exchange of each request, with
//! `tls` and `proxies`; `answer` says what an answer means that is no success.

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
pub mod memory;
mod mirrors;
mod proxies;
mod repository;
mod retrying;
mod settings;
mod tls;
mod transport;
mod tries;
mod warnings;

pub use self::auth::{Access, Checked, Grant, Granted};
pub use self::client::Client;
pub use self::client_builder::ClientBuilder;
pub use self::endpoints::blobs::BlobPart;
pub use self::endpoints::pages::{NextPage, Page};
pub use self::mirrors::RemoteSource;
pub use self::proxies::{Exceptions, Proxies, Proxy};
pub use self::repository::RemoteRepository;
pub use self::settings::{Insecure, ReferrersFallback};
pub use self::tls::{Certificates, CertsDirs, Identity, Roots, Tls, TlsSource, Verification};
pub use self::transport::{
    EndpointClass, Leniency, LeniencyObserver, Limits, Neighbour, PauseObserver, RequestClass,
    RequestCounts, Resolver, Timeouts,
};
pub use self::warnings::RegistryWarning;
