//! What experience with a registry says about sending blobs to it.

/// What was learned from earlier uploads, in this process and before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Experience {
    /// One PUT was refused and PATCH was not.
    pub(crate) patch: bool,
    /// Bodies of at most so many bytes were taken after larger ones were refused (413).
    pub(crate) largest: Option<u64>,
    /// A session that broke off in mid-body could not be continued.
    pub(crate) forgets: bool,
    /// Chunks were refused: what breaks off is sent whole again.
    pub(crate) unchunked: bool,
}
