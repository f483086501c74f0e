//! Cancels abandoned sessions in the background (wire.md U8).
//!
//! A dropped future cannot wait for an answer, so its cleanup runs in a separate task. Each task
//! has a time limit, and the program can wait for all of them before it ends.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use wharf_core::sync::Lock;
use wharf_core::{Error, ErrorKind, Result};

/// Runs cleanup tasks, and knows which still run.
#[derive(Debug, Default)]
pub(crate) struct Janitor {
    tasks: Lock<JoinSet<()>>,
}

impl Janitor {
    /// Starts `work`. Does nothing without a runtime, at the end of a program.
    pub(crate) fn start(&self, work: impl Future<Output = ()> + Send + 'static) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut tasks = self.tasks.lock();
        while tasks.try_join_next().is_some() {}
        tasks.spawn_on(work, &runtime);
    }

    /// Runs `work` to its end, even if the caller is dropped; its result is dropped then. For
    /// requests that open something at the registry, which must be closed too.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`] if the runtime shuts down meanwhile.
    pub(crate) async fn see_through<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T> {
        let (sender, done) = oneshot::channel();
        self.start(async move { drop(sender.send(work.await)) });
        let gone = |_| Error::new(ErrorKind::Cancelled, "the work was cancelled");
        done.await.map_err(gone)
    }

    /// Waits until all tasks have ended, but no longer than `limit`.
    pub(crate) async fn finish(&self, limit: Duration) {
        let all = async {
            // A task may have started another one.
            loop {
                let mut tasks = self.take();
                if tasks.is_empty() {
                    return;
                }
                while tasks.0.join_next().await.is_some() {}
            }
        };
        if tokio::time::timeout(limit, all).await.is_err() {
            tracing::debug!("not everything was cleaned up in time");
        }
    }

    fn take(&self) -> Tasks {
        let mut tasks = self.tasks.lock();
        Tasks(std::mem::take(&mut *tasks))
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        drop(self.take());
    }
}

/// Tasks that are detached when they are dropped.
struct Tasks(JoinSet<()>);

impl Tasks {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.detach_all();
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

    #[tokio::test(start_paused = true)]
    async fn what_was_opened_for_nobody_is_dropped_and_waited_for() {
        struct Opened(Arc<AtomicUsize>);
        impl Drop for Opened {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let (janitor, dropped) = (Janitor::default(), Arc::new(AtomicUsize::new(0)));
        let opened = Opened(Arc::clone(&dropped));
        let opening = janitor.see_through(async move {
            tokio::time::sleep(Duration::from_secs(2)).await;
            opened
        });
        let given_up = tokio::time::timeout(Duration::from_secs(1), opening).await;
        assert!(given_up.is_err());
        assert_eq!(dropped.load(Ordering::Relaxed), 0);
        janitor.finish(Duration::from_secs(5)).await;
        assert_eq!(dropped.load(Ordering::Relaxed), 1);
    }
}
