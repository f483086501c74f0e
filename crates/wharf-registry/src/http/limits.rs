//! What a server grants its clients: how many connections, and how much time.

use std::time::Duration;

/// The limits of a [`Server`](super::Server). Requests that move bytes well are never cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Connections at a time. A further one replaces an idle one, else one that moves almost nothing.
    /// By default 4096, or as many as the process has file descriptors for. 0 counts as 1.
    pub connections: usize,
    /// How long a further connection waits for its place. Then it is answered 503 with
    /// `Retry-After`. By default 30 seconds.
    pub queue: Duration,
    /// The time for the head of a request, from its first byte. By default 20 seconds.
    pub head: Duration,
    /// The time without a request, after which a connection is closed. By default 60 seconds.
    pub idle: Duration,
    /// While the server waits this long for the body of a request, the body must bring 1 KiB for each
    /// second; else the answer is 408. By default 60 seconds.
    pub body: Duration,
    /// The time after which a client that reads no byte of an answer is disconnected. By default 60
    /// seconds.
    pub write: Duration,
}

/// Fewer bytes in a second are too few, averaged over [`Limits::body`].
pub(super) const LEAST_RATE: u64 = 1 << 10;

/// The most connections by default.
const CONNECTIONS: usize = 4096;
/// The fewest, however few files the process may open.
const FEW: usize = 16;
/// This many may wait in any case.
const BURST: usize = 64;
/// Descriptors that are not for connections with a place.
const RESERVED: u64 = 128;

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: connections(files()),
            queue: Duration::from_secs(30),
            head: Duration::from_secs(20),
            idle: Duration::from_secs(60),
            body: Duration::from_secs(60),
            write: Duration::from_secs(60),
        }
    }
}

impl Limits {
    /// Connections that may wait for a place.
    pub(super) fn waiting(&self) -> usize {
        self.connections.div_ceil(4).max(BURST)
    }

    /// How long a connection is watched before it counts as slow.
    pub(super) fn watch(&self) -> Duration {
        self.body / 12
    }

    /// How long a large document may take to arrive while others wait for its memory.
    pub(super) fn hold(&self) -> Duration {
        self.body / 3
    }

    /// How often to look for connections that are overdue.
    pub(super) fn tick(&self) -> Duration {
        let shortest = self.watch().min(self.head).min(self.idle);
        (shortest / 4).clamp(Duration::from_millis(5), Duration::from_secs(1))
    }
}

/// A connection needs a descriptor, and one more for the file that it reads or writes; a quarter more
/// may wait.
fn connections(files: Option<u64>) -> usize {
    let Some(files) = files else {
        return CONNECTIONS;
    };
    let most = files.saturating_sub(RESERVED) / 9 * 4;
    usize::try_from(most).map_or(CONNECTIONS, |most| most.clamp(FEW, CONNECTIONS))
}

/// How many files the process may have open, if that is limited.
#[cfg(unix)]
fn files() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

#[cfg(not(unix))]
fn files() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_a10_there_are_descriptors_for_every_connection() {
        for (files, expected) in [
            (None, 4096),
            (Some(1 << 20), 4096),
            (Some(1024), 396),
            (Some(256), 56),
            (Some(10), 16),
        ] {
            assert_eq!(connections(files), expected, "{files:?}");
        }
    }
}
