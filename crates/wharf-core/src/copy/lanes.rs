//! How much a copy moves at once: a few large blobs, or many small ones.
//!
//! Of a large blob the bytes take time, of a small one the requests: what waits for answers needs
//! company more than bandwidth.

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{Error, ErrorKind, Result};

/// The bytes that a place stands for. A blob takes as many places as its bytes need, a large one no
/// more than its share of all.
const PLACE: u64 = 128 << 10;

/// The places of all transfers of a copy (wire.md R6).
#[derive(Debug)]
pub(super) struct Lanes {
    places: Semaphore,
    /// The places of a large blob.
    share: u32,
}

/// What is known of the size of a transfer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Load {
    /// In bytes.
    Known(u64),
    /// It is learned on the way, as with layers that are made. Counts as large.
    Unknown,
}

impl Lanes {
    /// Places for `jobs` small blobs, or `large` large ones. Both are at least 1, and `large` is no more
    /// than `jobs`.
    pub(super) fn new(jobs: usize, large: usize) -> Self {
        let share = jobs / large.max(1);
        Lanes {
            places: Semaphore::new(jobs),
            share: u32::try_from(share).unwrap_or(u32::MAX).max(1),
        }
    }

    /// Waits for the places of a transfer, which are free again when the permit is dropped.
    ///
    /// # Errors
    /// Never: the places live as long as the work and are not closed.
    pub(super) async fn enter(&self, load: Load) -> Result<SemaphorePermit<'_>> {
        let wanted = match load {
            Load::Known(size) => u32::try_from(size.div_ceil(PLACE)).unwrap_or(u32::MAX),
            Load::Unknown => self.share,
        };
        let closed = |_| Error::new(ErrorKind::Cancelled, "the work was cancelled");
        let places = self.places.acquire_many(wanted.clamp(1, self.share));
        places.await.map_err(closed)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    /// How many transfers of this size run at once.
    fn at_once(jobs: usize, large: usize, load: Load) -> usize {
        let lanes = Lanes::new(jobs, large);
        let mut held = Vec::new();
        while let Some(permit) = lanes.enter(load).now_or_never() {
            held.push(permit.unwrap());
        }
        held.len()
    }

    #[test]
    fn r6_small_blobs_take_a_place_and_large_ones_their_share() {
        let sizes = [0, 1, PLACE, PLACE + 1, 4 * PLACE, 1 << 20, 1 << 40];
        let counts = sizes.map(|size| at_once(32, 4, Load::Known(size)));
        assert_eq!(counts, [32, 32, 32, 16, 8, 4, 4]);
        assert_eq!(at_once(32, 4, Load::Unknown), 4);
    }

    #[test]
    fn r6_jobs_bounds_all_of_them() {
        for size in [1, 1 << 30] {
            for (jobs, large) in [(1, 1), (3, 2), (3, 3), (8, 8)] {
                assert_eq!(at_once(jobs, large, Load::Known(size)), jobs);
            }
        }
    }
}
