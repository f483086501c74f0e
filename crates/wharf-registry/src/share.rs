//! Divides buffer space among the streams that are open, so that many of them need little memory and
//! a few of them are fast.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that the open streams share, before the bounds of a single share.
const TOTAL: usize = 1 << 20;
/// More makes a single stream no faster.
const MOST: usize = 256 << 10;
/// Less costs more time for each byte.
const LEAST: usize = 32 << 10;

/// The streams of one kind that are open. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shares(Arc<AtomicUsize>);

impl Shares {
    /// Counts a stream until the result is dropped.
    pub(crate) fn join(&self) -> Share {
        self.0.fetch_add(1, Ordering::Relaxed);
        Share(self.clone())
    }
}

/// A stream that is open.
#[derive(Debug)]
pub(crate) struct Share(Shares);

impl Share {
    /// How many bytes the stream should handle at a time, now.
    pub(crate) fn bytes(&self) -> usize {
        let open = self.0.0.load(Ordering::Relaxed).max(1);
        (TOTAL / open).clamp(LEAST, MOST)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_a9_the_more_streams_are_open_the_less_each_one_holds() {
        let shares = Shares::default();
        let first = shares.join();
        assert_eq!(first.bytes(), MOST);
        let many: Vec<Share> = (0..15).map(|_| shares.join()).collect();
        assert_eq!(first.bytes(), 64 << 10);
        let more: Vec<Share> = (0..1000).map(|_| shares.join()).collect();
        assert_eq!(first.bytes(), LEAST);
        drop((many, more));
        assert_eq!(first.bytes(), MOST);
    }
}
