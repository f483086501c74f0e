//! Kinds of requests: registries weigh them differently, so each kind has a limit of its own.

use http::Method;

/// What a request asks of a registry (wire.md R7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
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

impl Kind {
    /// What a method is used for, as far as it tells.
    pub(super) fn of(method: &Method) -> Self {
        match *method {
            Method::HEAD => Kind::Check,
            Method::PATCH | Method::PUT => Kind::Send,
            Method::POST | Method::DELETE => Kind::Open,
            _ => Kind::Read,
        }
    }
}
