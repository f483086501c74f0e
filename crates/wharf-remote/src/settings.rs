//! Settings used below the client: what may be insecure, and what to do if a registry lists no
//! referrers.

/// Whether plain http and certificates that cannot be verified are acceptable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Insecure {
    /// https with a trusted certificate; http to local and private hosts only.
    #[default]
    No,
    /// http, and any certificate, for every host.
    Yes,
}

/// What to do if a registry does not list referrers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReferrersFallback {
    /// List them under a tag (distribution-spec: "Referrers Tag Schema").
    #[default]
    Tag,
    /// Fail.
    Refuse,
}
