//! One request, one answer: everything about HTTP that is not about registries.

mod activity;
mod body;
mod clients;
mod counts;
mod failure;
mod follow;
mod http;
mod lane_kind;
mod leniency;
mod limit;
mod limit_window;
mod names;
mod proxy_failure;
mod redact;
mod request;
mod response;
mod sent_secrets;
mod tls_failure;
mod trace;
mod trust;

pub(super) use self::body::{Again, Body, Payload};
pub(super) use self::clients::Settings;
pub use self::counts::{EndpointClass, RequestClass, RequestCounts};
pub(super) use self::follow::{follow, same_origin};
pub use self::http::Timeouts;
pub(super) use self::http::{Probe, Transport, authority};
pub(super) use self::lane_kind::LaneKind;
pub(super) use self::leniency::Tattler;
pub use self::leniency::{Leniency, LeniencyObserver};
pub(super) use self::limit::Gate;
pub use self::limit::{Limits, PauseObserver};
pub(super) use self::names::Names;
pub use self::names::Resolver;
pub(super) use self::redact::SafeUrl;
pub(super) use self::request::{Request, Wait};
pub(super) use self::response::Response;
