//! What is cleaned up in the background: sessions of work that was given up (PUSH.md U8).
//!
//! A future that is dropped cannot wait for an answer, so its cleaning is a task of its own. Each
//! such task has a limit of its own, and whoever ends the process can wait for all of them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// Runs what is cleaned up, and knows what still runs.
#[derive(Debug, Default)]
pub(super) struct Janitor {
    tasks: Mutex<JoinSet<()>>,
}

impl Janitor {
    /// Starts `work`; without a runtime, at the end of a program, there is nobody to do it.
    pub(super) fn start(&self, work: impl Future<Output = ()> + Send + 'static) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn_on(work, &runtime);
    }

    /// Waits until nothing is left to do, but no longer than `limit`.
    pub(super) async fn finish(&self, limit: Duration) {
        let mut tasks = {
            let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *tasks)
        };
        let all = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(limit, all).await.is_err() {
            tracing::debug!(left = tasks.len(), "not everything was cleaned up in time");
        }
        tasks.detach_all();
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        // What is under way goes on, though nobody can wait for it any more.
        let tasks = self.tasks.get_mut();
        tasks.unwrap_or_else(PoisonError::into_inner).detach_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_for_what_is_under_way_but_not_for_ever() {
        let (janitor, done) = (Janitor::default(), Arc::new(AtomicUsize::new(0)));
        for seconds in [1, 2, 500] {
            let done = Arc::clone(&done);
            janitor.start(async move {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                done.fetch_add(1, Ordering::Relaxed);
            });
        }
        janitor.finish(Duration::from_secs(5)).await;
        assert_eq!(done.load(Ordering::Relaxed), 2);
    }
}
