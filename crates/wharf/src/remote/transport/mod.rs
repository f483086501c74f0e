//! One request, one answer: everything about HTTP that is not about registries.

mod activity;
mod clients;
mod counts;
mod failure;
mod http;
mod kind;
mod limit;
mod limit_window;
mod redact;
mod replay;
mod trace;

pub(super) use self::clients::Settings;
pub use self::counts::{EndpointClass, RequestClass, RequestCounts};
pub use self::http::Timeouts;
pub(super) use self::http::{Body, Payload, Probe, Request, Response, Transport, Wait};
pub(super) use self::kind::Kind;
pub(super) use self::limit::Gate;
pub use self::limit::{Limits, PauseObserver};
