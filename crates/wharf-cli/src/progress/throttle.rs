//! Limits how often the progress of a blob is shown. Pure: the caller passes the time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use wharf::copy::SubjectKey;

/// The least time between two lines about a blob's progress.
const INTERVAL: Duration = Duration::from_millis(100);

/// Remembers what was shown of each moving blob.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    moving: HashMap<SubjectKey, Shown>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Shown {
    at: Option<Instant>,
    /// The last position, if it was not shown.
    held_back: Option<u64>,
}

impl Throttle {
    /// A blob begins to move.
    pub(super) fn start(&mut self, key: &SubjectKey) {
        self.moving.insert(key.clone(), Shown::default());
    }

    /// Whether to show a position now; one that is not may be held back until `end`.
    pub(super) fn shows(&mut self, key: &SubjectKey, position: u64, now: Instant) -> bool {
        let Some(shown) = self.moving.get_mut(key) else {
            return false;
        };
        let due = shown
            .at
            .is_none_or(|at| now.saturating_duration_since(at) >= INTERVAL);
        match due {
            true => {
                *shown = Shown {
                    at: Some(now),
                    held_back: None,
                }
            }
            false => shown.held_back = Some(position),
        }
        due
    }

    /// A blob stops moving: its last position, unless that was shown.
    pub(super) fn end(&mut self, key: &SubjectKey) -> Option<u64> {
        self.moving.remove(key)?.held_back
    }
}

#[cfg(test)]
mod tests {
    use wharf_oci::Digest;

    use super::*;

    #[test]
    fn p2_a_position_is_shown_every_tenth_of_a_second_and_the_last_one_always() {
        let mut throttle = Throttle::default();
        let blob = &SubjectKey::Content(Digest::of(b"a"));
        let begin = Instant::now();
        let at = |throttle: &mut Throttle, milliseconds, position| {
            let now = begin + Duration::from_millis(milliseconds);
            throttle.shows(blob, position, now)
        };
        assert!(!at(&mut throttle, 0, 1), "it has not started");
        throttle.start(blob);
        assert!(at(&mut throttle, 0, 1));
        assert!(!at(&mut throttle, 99, 2));
        assert!(at(&mut throttle, 100, 3));
        assert!(!at(&mut throttle, 150, 4));
        assert_eq!(throttle.end(blob), Some(4));
        assert!(!at(&mut throttle, 500, 5), "it has ended");
        throttle.start(blob);
        assert!(at(&mut throttle, 501, 6));
        assert_eq!(throttle.end(blob), None);
    }
}
