//! Kinds of requests: registries weigh them differently, so each kind has a limit of its own.

use http::Method;

/// What a request asks of a registry (wire.md R7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LaneKind {
    /// Whether something is there.
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
    /// What a method is used for, as far as it tells.
    pub(super) fn of(method: &Method) -> Self {
        match *method {
            Method::HEAD => LaneKind::Check,
            Method::PATCH | Method::PUT => LaneKind::Send,
            Method::POST | Method::DELETE => LaneKind::Open,
            _ => LaneKind::Read,
        }
    }
}
