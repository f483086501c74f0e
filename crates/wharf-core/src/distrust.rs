//! Why TLS with a host did not come about.

/// What is wrong with the TLS of a host; part of an [`Error`](crate::Error) of
/// [`ErrorKind::Untrusted`](crate::ErrorKind::Untrusted).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Distrust {
    /// Nobody who is trusted here signed its certificate.
    Issuer,
    /// Its certificate is over, or not good yet, by the clock of this machine.
    Dates,
    /// Its certificate is for other names.
    Name,
    /// Something else about its certificate.
    Certificate,
    /// There is no version or cipher that both sides speak: no certificate was judged.
    Terms,
}
