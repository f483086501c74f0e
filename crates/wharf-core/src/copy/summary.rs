//! What a copy did, in numbers.

use wharf_oci::Descriptor;

use crate::draft::MadeLayer;
use crate::store::Outcome;

/// What a copy did, to one destination. The blobs it counts are distinct.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Blobs whose bytes were moved, or the rest of them.
    pub written: u64,
    /// Blobs the registry linked from another repository.
    pub mounted: u64,
    /// Blobs that were there, as far as they were asked for: those below a manifest that was
    /// there are not.
    pub existed: u64,
    /// Manifests that were there, with everything below them.
    pub unchanged: u64,
    /// Manifests put.
    pub manifests: u64,
    /// Sizes of the blobs written, in bytes: also of one that was gone on with, of which an earlier
    /// try had sent a part.
    pub bytes: u64,
    /// Non-distributable layers left out.
    pub skipped: u64,
    /// What each root is in the store, in the order given.
    pub roots: Vec<Descriptor>,
    /// What each layer that was made on the way became, in the order of the plan.
    pub layers: Vec<MadeLayer>,
}

impl Summary {
    pub(super) fn count(&mut self, outcome: Outcome, size: u64) {
        match outcome {
            Outcome::Existed => self.existed += 1,
            Outcome::Mounted => self.mounted += 1,
            Outcome::Written => {
                self.written += 1;
                self.bytes += size;
            }
        }
    }
}
