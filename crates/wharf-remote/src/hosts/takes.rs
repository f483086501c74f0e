//! Optional requests that a registry takes, as it says in each answer: `Wharf-Takes`.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::transport::Response;

/// The header.
pub(super) const HEADER: &str = "wharf-takes";

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
    /// Records the header's list.
    pub(super) fn learn(&self, header: &str) {
        self.0.fetch_or(bits(header), Ordering::Relaxed);
    }

    pub(super) fn has(&self, optional: Optional) -> bool {
        self.0.load(Ordering::Relaxed) & bit(optional) != 0
    }
}

/// Whether this very answer says that the registry takes it.
pub(crate) fn says_takes(response: &Response, optional: Optional) -> bool {
    response
        .all(HEADER)
        .any(|list| bits(list) & bit(optional) != 0)
}

/// What the header's list names. Unknown words may come from later versions.
fn bits(header: &str) -> u8 {
    let words = header.split(',');
    let known = words.filter_map(|word| {
        Some(bit(match word.trim() {
            "tags" => Optional::Tags,
            "post-blob" => Optional::PostBlob,
            "any-mount" => Optional::AnyMount,
            "conditions" => Optional::Conditions,
            _ => return None,
        }))
    });
    known.fold(0, |all, one| all | one)
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
