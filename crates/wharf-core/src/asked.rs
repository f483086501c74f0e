//! What a request was about that did not do what it should.

/// What was asked for; part of an [`Error`](crate::Error) about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Asked {
    /// A token, of a token server and not of the registry.
    Token,
    /// A manifest, read or put.
    Manifest,
    /// A blob, read or sent.
    Blob,
}
