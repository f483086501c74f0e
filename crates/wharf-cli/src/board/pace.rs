//! The rate at which bytes move, over the last seconds. Pure: the caller passes the time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How far back the rate looks.
const WINDOW: Duration = Duration::from_secs(10);

/// The least time between two samples: bounds their number.
const STEP: Duration = Duration::from_millis(200);

/// The least time that makes a rate.
const SOONEST: Duration = Duration::from_secs(1);

/// Samples of what has moved.
#[derive(Debug, Default)]
pub(super) struct Pace {
    moved: u64,
    /// The time and the bytes by then, the newest last.
    samples: VecDeque<(Instant, u64)>,
}

impl Pace {
    /// This many more bytes have moved.
    pub(super) fn add(&mut self, bytes: u64, now: Instant) {
        if self.samples.is_empty() {
            self.samples.push_back((now, self.moved));
        }
        self.moved = self.moved.saturating_add(bytes);
        self.sample(now);
    }

    fn sample(&mut self, now: Instant) {
        let last = self.samples.back();
        if last.is_some_and(|(at, _)| now.saturating_duration_since(*at) < STEP) {
            return;
        }
        self.samples.push_back((now, self.moved));
        let old = |(at, _): &(Instant, u64)| now.saturating_duration_since(*at) > WINDOW;
        // The newest sample beyond the window is its edge.
        while self.samples.get(1).is_some_and(old) {
            self.samples.pop_front();
        }
    }

    /// Bytes per second, once that can be said.
    pub(super) fn rate(&mut self, now: Instant) -> Option<u64> {
        self.sample(now);
        let (at, before) = *self.samples.front()?;
        let time = now.saturating_duration_since(at);
        if time < SOONEST {
            return None;
        }
        let moved = u128::from(self.moved.saturating_sub(before));
        u64::try_from(moved * 1000 / time.as_millis().max(1)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_c12_the_rate_is_that_of_the_last_seconds() {
        let (mut pace, begin) = (Pace::default(), Instant::now());
        let at = |milliseconds| begin + Duration::from_millis(milliseconds);
        pace.add(1000, at(0));
        assert_eq!(pace.rate(at(999)), None, "too soon");
        assert_eq!(pace.rate(at(1000)), Some(1000));
        for second in 1..100 {
            pace.add(500, at(second * 1000));
        }
        let rate = pace.rate(at(99_000)).unwrap();
        assert!((450..=550).contains(&rate), "{rate}");
        assert!(pace.samples.len() < 60);
        // Nothing moves any more.
        let later = (100..=125).map(|second| pace.rate(at(second * 1000)));
        assert_eq!(later.last(), Some(Some(0)));
    }
}
