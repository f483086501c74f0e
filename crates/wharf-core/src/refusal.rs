//! That a registry did not let us in, and what it would take.

use std::fmt;

use wharf_oci::Registry;

/// What a registry, or its token server, was shown in vain; part of an [`Error`](crate::Error).
///
/// It holds no secret. `Display` says which credentials were tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The registry.
    pub registry: Registry,
    /// What is missing, as far as can be told.
    pub lack: Lack,
    /// The file, helper or other place that the credentials are from; `None`: none were shown.
    pub source: Option<String>,
    /// The entry there that they are from, where it is for a part of the registry only.
    pub entry: Option<String>,
    /// What the request needs, as token servers call it: `repository:team/app:pull,push`; empty
    /// where it is about no repository.
    pub scope: String,
    /// The line that `Display` gives.
    #[doc(hidden)]
    pub words: String,
}

/// What it would take to be let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lack {
    /// Credentials: none were shown.
    Credentials,
    /// Credentials that are right.
    RightCredentials,
    /// Rights: the credentials are good, but not for this.
    Rights,
    /// A token that the registry takes: it refused one that was made for it.
    Token,
    /// A way to show credentials that the registry and we both know.
    Scheme,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}
