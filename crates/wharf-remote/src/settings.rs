//! Choices of the user that reach further down than the client: what may be insecure, and what is
//! done where a registry lists no referrers.

/// Whether plain http and certificates that cannot be verified are acceptable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Insecure {
    /// https with a trusted certificate; http to local and private hosts only.
    #[default]
    No,
    /// Anything goes.
    Yes,
}

/// What is done where a registry does not list referrers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReferrersFallback {
    /// They are listed under a tag (distribution-spec: "Referrers Tag Schema").
    #[default]
    Tag,
    /// It is an error.
    Refuse,
}
