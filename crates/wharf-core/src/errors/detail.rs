//! Details of certain errors for programs: the credentials that a registry refused, the guard that
//! refused, what is wrong with TLS, why a host was not reached, what was requested.

use std::fmt;

use wharf_oci::{Digest, Registry};

/// The detail of an error; at most one.
#[derive(Clone, Debug)]
pub(super) enum Detail {
    Refusal(Refusal),
    Guard(Guard),
    Distrust(Distrust),
    Lost(Vec<Digest>),
    Unreached(Unreached),
    /// No manifest has this tag or digest.
    Absent,
    /// The reader of what was being written is gone.
    Unread,
}

/// What a registry, or its token server, refused; part of an [`Error`](crate::Error).
///
/// It holds no secret. `Display` says which credentials were tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The registry.
    pub registry: Registry,
    /// What is missing, as far as known.
    pub lack: Lack,
    /// The file, helper or other place of the credentials; `None`: none were sent.
    pub source: Option<String>,
    /// The entry there, if it is for a part of the registry only.
    pub entry: Option<String>,
    /// The scope that the request needs: `repository:team/app:pull,push`; empty if it is about no
    /// repository.
    pub scope: String,
    /// The line that `Display` writes.
    #[doc(hidden)]
    pub words: String,
}

/// What is missing for the registry to accept the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lack {
    /// Credentials: none were sent.
    Credentials,
    /// Other credentials: these are wrong.
    RightCredentials,
    /// Rights: the credentials are valid, but do not allow this.
    Rights,
    /// A token that the registry accepts: it refused one that was made for it.
    Token,
    /// Credentials: a place for them could not be read, and no other place has any.
    Source,
    /// A scheme for credentials that both the registry and this client support.
    Scheme,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

/// An action of a registry that a setting must allow; part of an [`Error`](crate::Error) of
/// [`ErrorKind::Refused`](crate::ErrorKind::Refused).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Guard {
    /// A connection to this host at a loopback, private or link-local address;
    /// `ClientBuilder::allow_near` allows it.
    Near {
        /// A name or an address, as the registry states it.
        host: String,
    },
    /// A redirect from https to plain http; `Insecure::Yes` allows it.
    Cleartext,
}

/// What is wrong with the TLS of a host; part of an [`Error`](crate::Error) of
/// [`ErrorKind::Untrusted`](crate::ErrorKind::Untrusted).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Distrust {
    /// No trusted authority signed its certificate.
    Issuer,
    /// Its certificate has expired, or is not valid yet, by the clock of this machine.
    Dates,
    /// Its certificate is for other names.
    Name,
    /// Something else about its certificate.
    Certificate,
    /// Both sides share no TLS version or cipher; no certificate was checked.
    Terms,
}

/// Why a host was not reached, where that is known; part of an [`Error`](crate::Error) of
/// [`ErrorKind::Unreachable`](crate::ErrorKind::Unreachable).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unreached {
    /// No process of this machine listens at that port.
    NoListenerHere,
    /// Its name does not resolve to an address.
    UnknownName,
    /// The proxy was not reached, or does not connect to it.
    Proxy,
}

/// The kind of content that was requested; part of an [`Error`](crate::Error) about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Asked {
    /// A token, from a token server and not from the registry.
    Token,
    /// A manifest, read or put.
    Manifest,
    /// A blob, read or sent.
    Blob,
}
