//! The time when something was learned, and its age.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// Seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Moment(pub(super) u64);

/// The clocks of machines that share a home directory differ by less than this.
const AHEAD: u64 = 24 * 60 * 60;

impl Moment {
    pub(super) fn now() -> Moment {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Moment(since.map_or(0, |since| since.as_secs()))
    }

    /// Whether this is at most `limit` before `now`. A moment far ahead of `now` is invalid.
    pub(super) fn is_within(self, limit: Duration, now: Moment) -> bool {
        now.0.saturating_sub(self.0) <= limit.as_secs() && self.0.saturating_sub(now.0) <= AHEAD
    }
}
