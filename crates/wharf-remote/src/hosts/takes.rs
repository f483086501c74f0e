//! Optional requests that a registry takes, as it says in each answer: `Wharf-Takes`.

use std::sync::atomic::{AtomicU8, Ordering};

/// A request, or a property of one, that only some registries take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Optional {
    /// Several tags with one PUT of a manifest (wire.md O6).
    Tags,
    /// A blob as the body of the POST (wire.md U1).
    PostBlob,
    /// A mount from wherever the registry has the blob (wire.md E5).
    AnyMount,
    /// `If-Match` and `If-None-Match` with a PUT of a manifest (wire.md F4).
    Conditions,
}

/// What one registry said so far.
#[derive(Debug, Default)]
pub(super) struct Takes(AtomicU8);

impl Takes {
    /// Records the header's list. Unknown words may come from later versions.
    pub(super) fn learn(&self, header: &str) {
        for word in header.split(',') {
            let optional = match word.trim() {
                "tags" => Optional::Tags,
                "post-blob" => Optional::PostBlob,
                "any-mount" => Optional::AnyMount,
                "conditions" => Optional::Conditions,
                _ => continue,
            };
            self.0.fetch_or(bit(optional), Ordering::Relaxed);
        }
    }

    pub(super) fn has(&self, optional: Optional) -> bool {
        self.0.load(Ordering::Relaxed) & bit(optional) != 0
    }
}

fn bit(optional: Optional) -> u8 {
    1 << optional as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_takes_what_it_said_in_any_answer() {
        let takes = Takes::default();
        takes.learn("tags, teapots,any-mount");
        takes.learn("");
        let all = [
            Optional::Tags,
            Optional::PostBlob,
            Optional::AnyMount,
            Optional::Conditions,
        ];
        assert_eq!(all.map(|one| takes.has(one)), [true, false, true, false]);
    }
}
