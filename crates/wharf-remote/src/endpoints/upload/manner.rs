//! Selects how a blob is sent: a pure choice from the settings and from what was learned.

use crate::hosts::Experience;
use wharf_core::Error;

/// How to send the bytes of a blob of known digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// One PUT that carries everything and ends the session (wire.md U1).
    Whole,
    /// One PATCH that carries everything, and an empty PUT.
    Patch,
    /// PATCHes of at most this many bytes each, and an empty PUT (wire.md U4).
    Chunks(u64),
}

/// The first chunk size tried after a body was too large, in bytes.
const LARGE: u64 = 64 << 20;

/// The smallest chunk size tried: front ends that limit bodies allow a mebibyte or more.
const SMALLEST: u64 = 512 << 10;

/// The chunk size for registries that forget the bytes of a broken request: a broken connection
/// loses at most this much.
const CAREFUL: u64 = 16 << 20;

/// Chunks of at most `limit` bytes, but at least `least`, the registry's minimum.
fn chunks(limit: u64, least: u64) -> Manner {
    Manner::Chunks(limit.max(least).max(1))
}

impl Manner {
    /// How to send `size` bytes; `asked` is the user's largest chunk.
    pub(super) fn choose(
        asked: Option<u64>,
        learned: &Experience,
        size: u64,
        least: u64,
    ) -> Manner {
        let careful = (learned.forgets && !learned.unchunked).then_some(CAREFUL);
        let limits = [asked, learned.largest, careful];
        match limits.into_iter().flatten().min() {
            Some(limit) if size > limit => chunks(limit, least),
            _ if learned.patch => Manner::Patch,
            _ => Manner::Whole,
        }
    }

    /// What to try after `error`, if it was about the manner and not about the blob.
    pub(super) fn after(self, error: &Error, size: u64, least: u64) -> Option<Manner> {
        if error.status() == Some(413) {
            let limit = match self {
                Manner::Whole | Manner::Patch => below(LARGE.min(size / 2), size, least),
                Manner::Chunks(bytes) => smaller(bytes, least),
            };
            return limit.map(|limit| chunks(limit, least));
        }
        match self {
            Manner::Whole if refuses(error) => Some(Manner::Patch),
            _ => None,
        }
    }

    /// Whether `error` says that a registry refuses chunks that the user did not ask for.
    pub(super) fn is_unwanted(
        self,
        error: &Error,
        asked: Option<u64>,
        learned: &Experience,
    ) -> bool {
        let own = asked.is_none() && learned.largest.is_none() && learned.forgets;
        let status = error.status();
        let about_us = matches!(status, Some(401 | 403 | 408 | 413 | 429 | 499));
        let refused = status.is_some_and(|status| (400..500).contains(&status) || status == 501);
        matches!(self, Manner::Chunks(_)) && own && refused && !about_us
    }
}

/// The next smaller chunk size after `refused` bytes were too large, at least `least`; `None`:
/// there is none.
pub(super) fn smaller(refused: u64, least: u64) -> Option<u64> {
    below(refused / 4, refused, least)
}

/// `limit`, or the smallest size that is tried, if that is below `refused`.
fn below(limit: u64, refused: u64, least: u64) -> Option<u64> {
    let limit = limit.max(SMALLEST).max(least);
    (limit < refused).then_some(limit)
}

/// Whether a registry refuses blobs in one PUT, rather than this blob or this client.
fn refuses(error: &Error) -> bool {
    const ABOUT_THE_BLOB: [&str; 8] = [
        "BLOB_UPLOAD_UNKNOWN",
        "DIGEST_INVALID",
        "SIZE_INVALID",
        "NAME_INVALID",
        "NAME_UNKNOWN",
        "DENIED",
        "UNAUTHORIZED",
        "TOOMANYREQUESTS",
    ];
    let by_status = match error.status() {
        Some(501) => true,
        Some(status) => {
            (400..500).contains(&status)
                && !matches!(status, 401 | 403 | 408 | 409 | 416 | 429 | 499)
        }
        None => false,
    };
    let codes = error
        .diagnostic()
        .map(|diagnostic| diagnostic.errors.as_slice())
        .unwrap_or_default();
    by_status
        && !codes
            .iter()
            .any(|entry| ABOUT_THE_BLOB.contains(&entry.code.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_core::ErrorKind;

    const MIB: u64 = 1 << 20;

    fn choose(asked: Option<u64>, learned: Experience, size: u64, least: u64) -> Manner {
        Manner::choose(asked, &learned, size, least)
    }

    fn answered(status: u16) -> Error {
        Error::new(ErrorKind::Rejected, "no").answer(status, None)
    }

    #[test]
    fn u1_one_put_unless_something_speaks_against_it() {
        let known = Experience::default();
        assert_eq!(choose(None, known, 1 << 40, 0), Manner::Whole);
        let learned = Experience {
            patch: true,
            ..known
        };
        assert_eq!(choose(None, learned, 5, 0), Manner::Patch);
    }

    #[test]
    fn u4_chunks_where_asked_or_learned_and_no_smaller_than_the_registry_wants() {
        let known = Experience::default();
        let asked = Some(5 * MIB);
        assert_eq!(choose(asked, known, 5 * MIB, 0), Manner::Whole);
        assert_eq!(
            choose(asked, known, 5 * MIB + 1, 0),
            Manner::Chunks(5 * MIB)
        );
        assert_eq!(
            choose(asked, known, 50 * MIB, 8 * MIB),
            Manner::Chunks(8 * MIB)
        );
        let small = Experience {
            largest: Some(MIB),
            ..known
        };
        assert_eq!(choose(asked, small, 50 * MIB, 0), Manner::Chunks(MIB));
        let forgets = Experience {
            forgets: true,
            ..known
        };
        assert_eq!(choose(None, forgets, 50 * MIB, 0), Manner::Chunks(CAREFUL));
        assert_eq!(choose(Some(0), known, 5, 0), Manner::Chunks(1));
    }

    #[test]
    fn u4_a_body_that_is_too_large_is_cut_smaller_and_smaller_but_not_for_ever() {
        let mut manner = Manner::Whole;
        let mut sizes = Vec::new();
        while let Some(next) = manner.after(&answered(413), 500 * MIB, 0) {
            manner = next;
            sizes.push(next);
        }
        let expected = [64 * MIB, 16 * MIB, 4 * MIB, MIB, MIB / 2].map(Manner::Chunks);
        assert_eq!(sizes, expected);
        // A usual limit of 1 MiB lies between these two sizes.
        assert_eq!(
            Manner::Chunks(5 * MIB / 4).after(&answered(413), 5 * MIB / 2, 0),
            Some(Manner::Chunks(MIB / 2))
        );
        assert_eq!(
            Manner::Whole.after(&answered(413), 3 * MIB, 0),
            Some(Manner::Chunks(3 * MIB / 2))
        );
        assert_eq!(Manner::Whole.after(&answered(413), 100, 0), None);
        assert_eq!(
            Manner::Chunks(16 * MIB).after(&answered(413), 500 * MIB, 8 * MIB),
            Some(Manner::Chunks(8 * MIB))
        );
        assert_eq!(
            Manner::Chunks(8 * MIB).after(&answered(413), 500 * MIB, 8 * MIB),
            None
        );
    }

    #[test]
    fn u1_what_is_said_of_the_blob_or_of_us_does_not_change_the_manner() {
        for status in [401, 403, 409, 416, 429, 500, 503] {
            assert_eq!(
                Manner::Whole.after(&answered(status), 9, 0),
                None,
                "{status}"
            );
        }
        for status in [400, 404, 405, 411, 501] {
            let next = Manner::Whole.after(&answered(status), 9, 0);
            assert_eq!(next, Some(Manner::Patch), "{status}");
            assert_eq!(
                Manner::Patch.after(&answered(status), 9, 0),
                None,
                "{status}"
            );
        }
    }
}
