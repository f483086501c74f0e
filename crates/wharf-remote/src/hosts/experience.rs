//! What was learned about sending blobs to a registry.

/// What earlier uploads showed, in this process and before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Experience {
    /// A single PUT was refused and PATCH was not.
    pub(crate) patch: bool,
    /// Bodies of at most this many bytes were accepted after larger ones were refused (413).
    pub(crate) largest: Option<u64>,
    /// A session that broke in mid-body could not be continued.
    pub(crate) forgets: bool,
    /// Chunks were refused: an interrupted blob is sent whole again.
    pub(crate) unchunked: bool,
}
