//! How long requests wait for what.

use std::time::Duration;

/// Limits on waiting. There is no limit on total time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection; 10 s by default.
    pub connect: Duration,
    /// From the end of a request to the headers of its answer; 30 s by default. A part of a blob
    /// has this limit too.
    pub header: Duration,
    /// The same for a request that commits a blob or manifest; 300 s by default.
    pub commit: Duration,
    /// Without a byte moved in either direction; 60 s by default. Waiting for our own source does
    /// not count.
    pub idle: Duration,
}

/// The upper bound of limits, so that sums with the clock do not overflow.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

impl Timeouts {
    pub(super) fn clamped(self) -> Self {
        Timeouts {
            connect: self.connect.min(LONGEST),
            header: self.header.min(LONGEST),
            commit: self.commit.min(LONGEST),
            idle: self.idle.min(LONGEST),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            connect: Duration::from_secs(10),
            header: Duration::from_secs(30),
            commit: Duration::from_secs(300),
            idle: Duration::from_secs(60),
        }
    }
}
