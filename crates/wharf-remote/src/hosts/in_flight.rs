//! Uploads under way to one host. Concurrent pushes send a blob to a repository once (wire.md S1), and
//! mount it into other repositories as soon as it arrived in one (wire.md O8).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use wharf_oci::{Digest, RepositoryName};

use wharf_core::Result;
use wharf_core::blob::Blob;
use wharf_core::store::Outcome;
use wharf_core::sync::{Held, Keyed, Lock};

/// An upload in another repository is waited for as long as it moves bytes within this time,
const MOVES_WITHIN: Duration = Duration::from_secs(15);

/// and this long in all, as its source may be slower than our own.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// The interval of the beats of an upload.
const BEAT: Duration = Duration::from_secs(1);

/// A blob and the repository that it is sent to.
type Place = (RepositoryName, Digest);

/// The uploads of one host.
#[derive(Debug, Default)]
pub(crate) struct UploadsInFlight {
    /// Of a blob to one repository; the value says whether it arrived.
    here: Keyed<Place, bool>,
    /// The beats of each.
    beats: Lock<HashMap<Place, u64>>,
    /// Of a blob to any repository; the value says whether it arrived in one.
    anywhere: Keyed<Digest, bool>,
    /// The bytes that moved of each.
    moved: Lock<HashMap<Digest, Arc<AtomicU64>>>,
    /// Whether the registry declined to mount what had just arrived.
    declines: AtomicBool,
}

/// What to do about an upload of the same blob to another repository of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    /// Wait for it, as the blob can be mounted from there then.
    WaitedFor,
    /// Nothing: the blob can be mounted from its origin now.
    Needless,
    /// Nothing: the blob must not be mounted.
    Ignored,
}

impl UploadsInFlight {
    /// Runs `upload`, unless another upload of the same blob to the same repository succeeds while
    /// this one waits for it. An upload is not waited for if its future is not polled.
    ///
    /// # Errors
    /// The error of `upload`. If another upload fails, the next waiting one runs its own.
    pub(crate) async fn once<U, F>(
        &self,
        name: &RepositoryName,
        blob: &Blob,
        others: Others,
        upload: U,
    ) -> Result<Outcome>
    where
        U: FnOnce(Blob) -> F,
        F: Future<Output = Result<Outcome>>,
    {
        let place = (name.clone(), blob.descriptor().digest.clone());
        let Some(arrived) = self.alone(&place).await else {
            return upload(blob.clone()).await;
        };
        if *arrived {
            return Ok(Outcome::Existed);
        }
        let _beats = Beats(self, place.clone());
        let running = self.run(arrived, blob, others, upload);
        tokio::pin!(running);
        loop {
            tokio::select! {
                biased;
                outcome = &mut running => return outcome,
                () = tokio::time::sleep(BEAT) => self.beat(&place),
            }
        }
    }

    /// Waits until no other upload of the blob to the repository runs. `None`: it does not go on,
    /// because its future is not polled.
    async fn alone(&self, place: &Place) -> Option<Held<'_, Place, bool>> {
        let beats = || self.beats.lock().get(place).copied();
        while_moving(self.here.hold(place.clone()), beats).await
    }

    fn beat(&self, place: &Place) {
        *self.beats.lock().entry(place.clone()).or_default() += 1;
    }

    async fn run<U, F>(
        &self,
        mut arrived: Held<'_, Place, bool>,
        blob: &Blob,
        others: Others,
        upload: U,
    ) -> Result<Outcome>
    where
        U: FnOnce(Blob) -> F,
        F: Future<Output = Result<Outcome>>,
    {
        let digest = &blob.descriptor().digest;
        let mut turn = match others {
            Others::WaitedFor if !self.declines.load(Ordering::Relaxed) => self.turn(digest).await,
            _ => None,
        };
        let outcome = upload(match &turn {
            Some(turn) => turn.counted(blob),
            None => blob.clone(),
        });
        let outcome = outcome.await;
        *arrived = outcome.is_ok();
        if others == Others::Needless && matches!(outcome, Ok(Outcome::Written)) {
            self.declines.store(true, Ordering::Relaxed);
        }
        if let Some(Turn { arrived, .. }) = &mut turn {
            if **arrived && matches!(outcome, Ok(Outcome::Written)) {
                self.declines.store(true, Ordering::Relaxed);
            }
            **arrived |= outcome.is_ok();
        }
        outcome
    }

    /// Waits until no other repository is sent the blob. `None`: that takes too long.
    async fn turn<'a>(&'a self, digest: &'a Digest) -> Option<Turn<'a>> {
        let moved = || {
            let moved = self.moved.lock();
            moved.get(digest).map(|moved| moved.load(Ordering::Relaxed))
        };
        let waiting = while_moving(self.anywhere.hold(digest.clone()), moved);
        let waited = tokio::time::timeout(LONGEST_WAIT, waiting).await;
        let arrived = waited.ok().flatten()?;
        Some(Turn::new(self, digest, arrived))
    }
}

/// Waits for a turn as long as the work that has it moves: `count` differs after each
/// [`MOVES_WITHIN`].
async fn while_moving<T>(
    turn: impl Future<Output = T>,
    count: impl Fn() -> Option<u64>,
) -> Option<T> {
    tokio::pin!(turn);
    let mut before = None;
    loop {
        tokio::select! {
            biased;
            turn = &mut turn => return Some(turn),
            () = tokio::time::sleep(MOVES_WITHIN) => {}
        }
        let now = count();
        if now == before {
            return None;
        }
        before = now;
    }
}

/// Ends the beats of an upload.
struct Beats<'a>(&'a UploadsInFlight, Place);

impl Drop for Beats<'_> {
    fn drop(&mut self) {
        self.0.beats.lock().remove(&self.1);
    }
}

/// The right to send a blob to one of the host's repositories.
struct Turn<'a> {
    uploads: &'a UploadsInFlight,
    digest: &'a Digest,
    /// Whether the blob arrived in another repository before.
    arrived: Held<'a, Digest, bool>,
    moved: Arc<AtomicU64>,
}

impl<'a> Turn<'a> {
    fn new(
        uploads: &'a UploadsInFlight,
        digest: &'a Digest,
        arrived: Held<'a, Digest, bool>,
    ) -> Self {
        let moved = Arc::new(AtomicU64::new(0));
        let mut counters = uploads.moved.lock();
        counters.insert(digest.clone(), Arc::clone(&moved));
        Turn {
            uploads,
            digest,
            arrived,
            moved,
        }
    }

    /// The blob, with its bytes counted for uploads that wait for this one.
    fn counted(&self, blob: &Blob) -> Blob {
        let moved = Arc::clone(&self.moved);
        blob.mapped(move |_, stream| {
            let moved = Arc::clone(&moved);
            let count = move |chunk: &bytes::Bytes| {
                moved.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            };
            stream.inspect_ok(count).boxed()
        })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.uploads.moved.lock().remove(self.digest);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use wharf_core::{Error, ErrorKind};
    use wharf_oci::{Descriptor, MediaType};

    fn blob() -> Blob {
        let descriptor = Descriptor::new(MediaType::OCTET_STREAM, Digest::of(b"blob"), 4);
        Blob::from_bytes(descriptor, bytes::Bytes::from_static(b"blob"))
    }

    fn name(text: &str) -> RepositoryName {
        text.parse().unwrap()
    }

    async fn written(_: Blob) -> Result<Outcome> {
        tokio::task::yield_now().await;
        Ok(Outcome::Written)
    }

    #[tokio::test]
    async fn s1_one_sends_and_the_others_find_it_there() {
        let (uploads, name, blob) = (UploadsInFlight::default(), name("app"), blob());
        let send = || uploads.once(&name, &blob, Others::WaitedFor, written);
        let outcomes = tokio::join!(send(), send(), send());
        assert_eq!(outcomes.0.unwrap(), Outcome::Written);
        assert_eq!(outcomes.1.unwrap(), Outcome::Existed);
        assert_eq!(outcomes.2.unwrap(), Outcome::Existed);
    }

    #[tokio::test]
    async fn s1_when_one_fails_or_is_cancelled_the_next_sends() {
        let (uploads, name, blob) = (UploadsInFlight::default(), name("app"), blob());
        let failing = uploads.once(&name, &blob, Others::WaitedFor, |_| async {
            tokio::task::yield_now().await;
            Err(Error::new(ErrorKind::Server, "500"))
        });
        let cancelled = tokio::time::timeout(
            Duration::from_millis(1),
            uploads.once(&name, &blob, Others::WaitedFor, |_| std::future::pending()),
        );
        let (failed, cancelled) = tokio::join!(failing, cancelled);
        assert!(failed.is_err() && cancelled.is_err());
        let sent = uploads.once(&name, &blob, Others::WaitedFor, written);
        assert_eq!(sent.await.unwrap(), Outcome::Written);
    }

    #[tokio::test(start_paused = true)]
    async fn fault_l5_an_upload_to_another_repository_is_waited_for_while_it_moves() {
        let (uploads, blob, running) = (UploadsInFlight::default(), blob(), AtomicUsize::new(0));
        let slow = |blob: Blob| async {
            assert_eq!(running.fetch_add(1, Ordering::Relaxed), 0);
            // It moves bytes for two minutes.
            for _ in 0..12 {
                tokio::time::sleep(Duration::from_secs(10)).await;
                blob.read_all(10).await?;
            }
            running.fetch_sub(1, Ordering::Relaxed);
            drop(blob);
            Ok(Outcome::Written)
        };
        let quick = |_| async {
            assert_eq!(running.load(Ordering::Relaxed), 0);
            Ok(Outcome::Mounted)
        };
        let (one, two) = (name("one"), name("two"));
        let (first, second) = tokio::join!(
            uploads.once(&one, &blob, Others::WaitedFor, slow),
            uploads.once(&two, &blob, Others::WaitedFor, quick)
        );
        assert_eq!(first.unwrap(), Outcome::Written);
        assert_eq!(second.unwrap(), Outcome::Mounted);
        assert!(uploads.moved.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn fault_l5_an_upload_that_stands_still_or_is_dropped_is_not_waited_for() {
        let (uploads, blob) = (UploadsInFlight::default(), blob());
        let (one, two, three) = (name("one"), name("two"), name("three"));
        let mut stuck =
            Box::pin(uploads.once(&one, &blob, Others::WaitedFor, |_| std::future::pending()));
        assert!(futures::poll!(stuck.as_mut()).is_pending());
        let started = tokio::time::Instant::now();
        let sent = uploads.once(&two, &blob, Others::WaitedFor, written).await;
        assert_eq!(sent.unwrap(), Outcome::Written);
        assert!(started.elapsed() <= MOVES_WITHIN * 2);
        drop(stuck);
        let sent = uploads
            .once(&three, &blob, Others::WaitedFor, written)
            .await;
        assert_eq!(sent.unwrap(), Outcome::Written);
        assert!(started.elapsed() <= MOVES_WITHIN * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn fault_x_stall_an_upload_that_is_not_polled_is_not_waited_for() {
        let (uploads, blob, app) = (UploadsInFlight::default(), blob(), name("app"));
        let send = |upload| uploads.once(&app, &blob, Others::Ignored, upload);
        type Work = fn(Blob) -> futures::future::BoxFuture<'static, Result<Outcome>>;
        let stuck: Work = |_| Box::pin(std::future::pending());
        let quick: Work = |blob| Box::pin(written(blob));
        let mut first = Box::pin(send(stuck));
        assert!(futures::poll!(first.as_mut()).is_pending());
        // This one gets the place when the first ends, and is not polled then either.
        let mut second = Box::pin(send(quick));
        assert!(futures::poll!(second.as_mut()).is_pending());
        let started = tokio::time::Instant::now();
        assert_eq!(send(quick).await.unwrap(), Outcome::Written);
        drop(first);
        assert_eq!(send(quick).await.unwrap(), Outcome::Written);
        assert!(started.elapsed() <= MOVES_WITHIN * 5);
        assert_eq!(second.await.unwrap(), Outcome::Written);
        assert!(uploads.beats.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn fault_x_stall_an_upload_that_is_polled_is_waited_for_without_bytes() {
        let (uploads, blob, app) = (UploadsInFlight::default(), blob(), name("app"));
        let slow = |_| async {
            tokio::time::sleep(Duration::from_secs(299)).await;
            Ok(Outcome::Written)
        };
        let both = tokio::join!(
            uploads.once(&app, &blob, Others::Ignored, slow),
            uploads.once(&app, &blob, Others::Ignored, written)
        );
        assert_eq!(both.0.unwrap(), Outcome::Written);
        assert_eq!(both.1.unwrap(), Outcome::Existed);
    }

    #[tokio::test(start_paused = true)]
    async fn fault_l5_a_registry_that_declines_mounts_gets_later_blobs_at_once() {
        let (uploads, blob) = (UploadsInFlight::default(), blob());
        let (one, two) = (name("one"), name("two"));
        let slow = |_| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(Outcome::Written)
        };
        for seconds in [2, 1] {
            let started = tokio::time::Instant::now();
            let both = tokio::join!(
                uploads.once(&one, &blob, Others::WaitedFor, slow),
                uploads.once(&two, &blob, Others::WaitedFor, slow)
            );
            assert!(both.0.is_ok() && both.1.is_ok());
            assert_eq!(started.elapsed(), Duration::from_secs(seconds));
        }
    }
}
