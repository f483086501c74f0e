//! What programs can tell of an error: its kind, and whose it is.

/// What kind of thing went wrong, for programs to act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The named content, tag, repository, file or directory does not exist.
    NotFound,
    /// A document, argument or file does not follow its format.
    Invalid,
    /// Bytes do not match the digest or size they were promised with.
    Corrupt,
    /// A selection fits several things; the message lists them.
    Ambiguous,
    /// The registry, or a proxy, wants credentials or a client certificate, or better ones.
    Unauthorized,
    /// The registry knows the caller and says no.
    Denied,
    /// A guard of ours refused to go on, for example towards a private address.
    Refused,
    /// No connection could be made: unknown host, nobody listening. Transient only where somebody
    /// answered there before.
    Unreachable,
    /// The registry shows a certificate that nobody we trust vouches for.
    Untrusted,
    /// A connection broke while in use.
    Interrupted,
    /// Nothing happened for as long as was allowed.
    Timeout,
    /// The registry asks for patience (408, 429, 503 and their like).
    Busy,
    /// The registry has trouble of its own (other 5xx).
    Server,
    /// The registry refused the request (other 4xx, or an answer that makes no sense).
    Rejected,
    /// The disk on this side is full.
    NoSpace,
    /// A file or device could not be read or written.
    Io,
    /// The operation or format is not supported here.
    Unsupported,
    /// The work was given up because other work failed.
    Cancelled,
}

impl ErrorKind {
    /// Whether doing the same again may succeed.
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
