//! Bounds the memory of large documents: manifests in requests, and lists in answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wharf_core::{Error, ErrorKind, Result};

/// A document of at most this many bytes needs no portion of a budget.
pub(crate) const SMALL: u64 = 64 << 10;
/// The bytes of large documents that clients send or read at their own pace.
const HELD: u64 = 32 << 20;
/// The bytes of large documents that are parsed or made at a time. Their parsed form takes several
/// times as many.
const WORK: u64 = 8 << 20;
/// How long a request waits for its portion.
const PATIENCE: Duration = Duration::from_secs(50);

/// The budgets of a registry. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Budgets {
    /// For bytes that wait for a client.
    pub(crate) held: Budget,
    /// For work, which never waits for a client.
    pub(crate) work: Budget,
}

impl Default for Budgets {
    fn default() -> Self {
        Budgets {
            held: Budget::new(HELD),
            work: Budget::new(WORK),
        }
    }
}

/// A number of bytes that large documents share. A request for more waits in order.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    blocks: Arc<Semaphore>,
    all: u32,
    waiting: Arc<AtomicUsize>,
}

/// Bytes are counted in blocks of this size.
const BLOCK: u64 = 1 << 10;

impl Budget {
    fn new(bytes: u64) -> Self {
        let all = blocks(bytes);
        Budget {
            blocks: Arc::new(Semaphore::new(all as usize)),
            all,
            waiting: Arc::default(),
        }
    }

    /// Takes the portion of a document; none if it is small.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] if other documents take all of the budget for 50 seconds.
    pub(crate) async fn take(&self, bytes: u64) -> Result<Option<Portion>> {
        if bytes <= SMALL {
            return Ok(None);
        }
        if let Ok(taken) = self.try_take(bytes) {
            return Ok(taken);
        }
        let _waiting = Waiting::join(&self.waiting);
        let wanted = blocks(bytes).min(self.all);
        let taking = Arc::clone(&self.blocks).acquire_many_owned(wanted);
        match tokio::time::timeout(PATIENCE, taking).await {
            Ok(Ok(permit)) => Ok(Some(Portion { _permit: permit })),
            _ => Err(busy()),
        }
    }

    /// Whether a request waits for its portion.
    pub(crate) fn is_contended(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// As [`Budget::take`], without a wait.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] if other documents take all of the budget now.
    pub(crate) fn try_take(&self, bytes: u64) -> Result<Option<Portion>> {
        if bytes <= SMALL {
            return Ok(None);
        }
        let wanted = blocks(bytes).min(self.all);
        let taken = Arc::clone(&self.blocks).try_acquire_many_owned(wanted);
        taken
            .map(|permit| Some(Portion { _permit: permit }))
            .map_err(|_| busy())
    }
}

/// A request that waits for its portion, until this is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn join(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn busy() -> Error {
    let message = "too many large manifests or lists at a time; try again later";
    Error::new(ErrorKind::Busy, message)
}

fn blocks(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(BLOCK)).unwrap_or(u32::MAX)
}

/// A part of a budget, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Portion {
    _permit: OwnedSemaphorePermit,
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn fault_c24_large_documents_wait_for_their_turn_and_small_ones_do_not() {
        let budget = Budget::new(10 << 20);
        let first = budget.take(4 << 20).await.unwrap();
        let second = budget.take(4 << 20).await.unwrap();
        assert!(first.is_some() && second.is_some());
        let mut third = Box::pin(budget.take(4 << 20));
        assert!(futures::poll!(third.as_mut()).is_pending());
        assert!(budget.take(SMALL).await.unwrap().is_none());
        assert!(budget.is_contended());
        drop(first);
        assert!(third.await.unwrap().is_some());
        assert!(!budget.is_contended());
    }

    #[tokio::test(start_paused = true)]
    async fn fault_c24_the_wait_for_memory_is_bounded() {
        let budget = Budget::new(1 << 20);
        // More than all of the budget counts as all.
        let all = budget.take(5 << 20).await.unwrap();
        let begun = Instant::now();
        let refused = budget.take(1 << 20).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Busy);
        assert_eq!(begun.elapsed(), PATIENCE);
        drop(all);
        assert!(budget.take(1 << 20).await.is_ok());
    }
}
