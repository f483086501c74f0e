//! Kinds of requests. Registries limit them differently, so each kind has its own limit.

use http::Method;

/// The kind of a request (wire.md R7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LaneKind {
    /// Existence check.
    Check,
    /// Opening, mounting or ending a session, deleting.
    Open,
    /// Bytes of a blob.
    Send,
    /// A manifest to keep.
    Manifest,
    /// Content and lists that are read.
    Read,
}

impl LaneKind {
    /// The usual kind of a method.
    pub(super) fn of(method: &Method) -> Self {
        match *method {
            Method::HEAD => LaneKind::Check,
            Method::PATCH | Method::PUT => LaneKind::Send,
            Method::POST | Method::DELETE => LaneKind::Open,
            _ => LaneKind::Read,
        }
    }
}
