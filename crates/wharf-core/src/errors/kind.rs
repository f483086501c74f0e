//! The kind and the side of an error, for programs.

/// The kind of an error, for programs to act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The named content, tag, repository, file or directory does not exist.
    NotFound,
    /// A tag is there already, and must not be overwritten.
    Exists,
    /// A document, argument or file does not follow its format.
    Invalid,
    /// Bytes do not match the stated digest or size.
    Corrupt,
    /// A selection fits several things; the message lists them.
    Ambiguous,
    /// The registry, or a proxy, requires credentials or a client certificate, or other ones.
    Unauthorized,
    /// The registry knows the caller and refuses.
    Denied,
    /// A guard of ours refused to continue, for example to a private address.
    Refused,
    /// No connection could be made: unknown host, connection refused. Transient only if the host
    /// answered before.
    Unreachable,
    /// The registry has a certificate that no trusted authority signed.
    Untrusted,
    /// A connection broke while in use.
    Interrupted,
    /// Nothing happened within the allowed time.
    Timeout,
    /// The registry asks to wait (408, 429, 503 and the like).
    Busy,
    /// The registry has an internal problem (other 5xx).
    Server,
    /// The registry refused the request (other 4xx, or a malformed answer).
    Rejected,
    /// The disk on this side is full.
    NoSpace,
    /// A file or device could not be read or written.
    Io,
    /// The operation or format is not supported here.
    Unsupported,
    /// The work was cancelled because other work failed.
    Cancelled,
}

impl ErrorKind {
    /// Whether a retry may succeed.
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            ErrorKind::Interrupted | ErrorKind::Timeout | ErrorKind::Busy | ErrorKind::Server
        )
    }
}

/// Which end of a copy an error belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The side that is read.
    Source,
    /// The side that is written.
    Destination,
}
