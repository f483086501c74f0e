//! One request, one answer: everything about HTTP that is not about registries.

mod activity;
mod body;
mod clients;
mod counts;
mod discretion;
mod failure;
mod http;
mod kind;
mod leniency;
mod limit;
mod limit_window;
mod names;
mod proxy_failure;
mod redact;
mod replay;
mod request;
mod response;
mod tls_failure;
mod trace;
mod trust;

pub(super) use self::body::{Again, Body, Payload};
pub(super) use self::clients::Settings;
pub use self::counts::{EndpointClass, RequestClass, RequestCounts};
pub use self::http::Timeouts;
pub(super) use self::http::{Probe, Transport, authority};
pub(super) use self::kind::Kind;
pub(super) use self::leniency::Tattler;
pub use self::leniency::{Leniency, LeniencyObserver};
pub(super) use self::limit::Gate;
pub use self::limit::{Limits, PauseObserver};
pub(super) use self::names::Names;
pub use self::names::Resolver;
pub(super) use self::redact::SafeUrl;
pub(super) use self::request::{Request, Wait};
pub(super) use self::response::Response;
