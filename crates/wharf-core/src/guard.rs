//! Which guard of ours refused to go on where a registry sent us (wire.md section 11).

/// What a registry wanted of us that we do not do by ourselves; part of an
/// [`Error`](crate::Error) of [`ErrorKind::Refused`](crate::ErrorKind::Refused).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Guard {
    /// To connect to this host, which is at a loopback, private or link-local address;
    /// `ClientBuilder::allow_near` allows it.
    Near {
        /// A name or an address, as the registry wrote it.
        host: String,
    },
    /// To send content on from https to plain http;
    /// `Insecure::Yes` allows it.
    Cleartext,
}
