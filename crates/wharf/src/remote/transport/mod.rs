//! One request, one answer: everything about HTTP that is not about registries.

mod activity;
mod clients;
mod failure;
mod http;
mod replay;

pub(super) use self::clients::Settings;
pub use self::http::Timeouts;
pub(super) use self::http::{Body, Payload, Probe, Request, Response, Transport, Wait};
