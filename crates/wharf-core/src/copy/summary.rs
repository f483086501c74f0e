//! What a copy did, in numbers.

use wharf_oci::Descriptor;

use crate::layer::MadeLayer;
use crate::store::Outcome;

/// What a copy did at one destination. It counts distinct blobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Blobs that were moved, completely or the missing part.
    pub written: u64,
    /// Blobs the registry linked from another repository.
    pub mounted: u64,
    /// Blobs that were asked for and were there. Blobs below a manifest that was there are not
    /// asked for.
    pub existed: u64,
    /// Manifests that were there, with everything below them.
    pub unchanged: u64,
    /// Manifests put, once for each tag.
    pub manifests: u64,
    /// Roots that were there with everything below them, and lacked a tag: only their manifest was
    /// put, under the tags that were missing.
    pub retagged: u64,
    /// Sizes of the blobs written, in bytes; a resumed blob counts in full.
    pub bytes: u64,
    /// Non-distributable layers left out.
    pub skipped: u64,
    /// The descriptor of each root in the store, in the order given.
    pub roots: Vec<Descriptor>,
    /// The layers that were made on the way, in the order of the plan.
    pub layers: Vec<MadeLayer>,
}

impl Summary {
    /// Takes back that a blob of this size was counted.
    pub(super) fn uncount(&mut self, outcome: Outcome, size: u64) {
        match outcome {
            Outcome::Existed => self.existed = self.existed.saturating_sub(1),
            Outcome::Mounted => self.mounted = self.mounted.saturating_sub(1),
            Outcome::Written => {
                self.written = self.written.saturating_sub(1);
                self.bytes = self.bytes.saturating_sub(size);
            }
        }
    }

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
