//! The connections of a server: admits a bounded number, and closes idle ones to admit others.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use wharf_core::sync::Lock;

use super::activity::{Activity, Dispensable};
use super::limits::Limits;

/// The connections of a server.
#[derive(Debug)]
pub(super) struct Connections {
    limits: Limits,
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    admitted: Lock<Admitted>,
}

#[derive(Debug, Default)]
struct Admitted {
    next: u64,
    open: HashMap<u64, Arc<Activity>>,
}

impl Connections {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Connections {
            limits,
            places: Arc::new(Semaphore::new(
                limits.connections.clamp(1, Semaphore::MAX_PERMITS),
            )),
            waiting: AtomicUsize::new(0),
            admitted: Lock::default(),
        })
    }

    /// Admits a connection. If all places are taken, has an idle or slow connection closed and waits
    /// for its place; `None` if none becomes free in time, or too many wait.
    pub(super) async fn admit(self: &Arc<Self>) -> Option<Place> {
        let permit = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => self.wait().await?,
        };
        let activity = Activity::new(self.limits);
        let mut admitted = self.admitted.lock();
        let id = admitted.next;
        admitted.next += 1;
        admitted.open.insert(id, Arc::clone(&activity));
        Some(Place {
            connections: Arc::clone(self),
            id,
            activity,
            _permit: permit,
        })
    }

    async fn wait(&self) -> Option<OwnedSemaphorePermit> {
        let waiting = Waiting::join(&self.waiting);
        if waiting.number > self.limits.waiting() {
            return None;
        }
        self.make_room(1);
        let place = Arc::clone(&self.places).acquire_owned();
        tokio::time::timeout(self.limits.queue, place)
            .await
            .ok()?
            .ok()
    }

    /// Has some connections closed: those that are idle for the longest time, else the slow ones.
    pub(super) fn make_room(&self, places: usize) {
        let mut found: Vec<(Dispensable, Arc<Activity>)> = {
            let admitted = self.admitted.lock();
            let open = admitted.open.values();
            open.filter_map(|activity| Some((activity.dispensable()?, Arc::clone(activity))))
                .collect()
        };
        // Idle before slow, then by time.
        found.sort_unstable_by_key(|(dispensable, _)| *dispensable);
        for (dispensable, activity) in found.into_iter().take(places) {
            tracing::debug!(?dispensable, "connection closed to admit another one");
            activity.close();
        }
    }

    /// Looks at the clock: closes connections that are overdue, and makes room for those that wait.
    pub(super) fn tick(&self) {
        let now = Instant::now();
        for activity in self.admitted.lock().open.values() {
            activity.tick(now);
        }
        let waiting = self.waiting.load(Ordering::Relaxed);
        if waiting > 0 {
            self.make_room(waiting);
        }
    }
}

/// The place of an admitted connection, free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    connections: Arc<Connections>,
    id: u64,
    activity: Arc<Activity>,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    pub(super) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.admitted.lock().open.remove(&self.id);
    }
}

/// A connection that waits for its place.
struct Waiting<'a> {
    count: &'a AtomicUsize,
    number: usize,
}

impl<'a> Waiting<'a> {
    fn join(count: &'a AtomicUsize) -> Self {
        let number = count.fetch_add(1, Ordering::Relaxed) + 1;
        Waiting { count, number }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;

    fn connections(number: usize) -> Arc<Connections> {
        Connections::new(Limits {
            connections: number,
            ..Limits::default()
        })
    }

    #[tokio::test]
    async fn fault_xlimits_any_number_of_connections_can_be_set() {
        for number in [0, 1, usize::MAX] {
            assert!(connections(number).admit().await.is_some(), "{number}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn fault_a10_the_longest_idle_connection_gives_way_and_busy_ones_stay() {
        let connections = connections(3);
        let busy = connections.admit().await.unwrap();
        let _request = busy.activity().begin();
        advance(Duration::from_secs(1)).await;
        let oldest = connections.admit().await.unwrap();
        advance(Duration::from_secs(1)).await;
        let younger = connections.admit().await.unwrap();
        let mut next = Box::pin(connections.admit());
        assert!(futures::poll!(next.as_mut()).is_pending());
        oldest.activity().closed().await;
        drop(oldest);
        assert!(next.await.is_some());
        for kept in [busy, younger] {
            assert!(futures::poll!(std::pin::pin!(kept.activity().closed())).is_pending());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn fault_a10_the_wait_for_a_place_is_bounded_in_time_and_number() {
        let connections = connections(4);
        let mut busy = Vec::new();
        for _ in 0..4 {
            let place = connections.admit().await.unwrap();
            busy.push((place.activity().begin(), place));
        }
        let mut waiting: Vec<_> = (0..connections.limits.waiting())
            .map(|_| Box::pin(connections.admit()))
            .collect();
        for admission in &mut waiting {
            assert!(futures::poll!(admission.as_mut()).is_pending());
        }
        // One more has no place to wait, these wait in vain.
        let begun = Instant::now();
        assert!(connections.admit().await.is_none());
        assert_eq!(begun.elapsed(), Duration::ZERO);
        let admitted = futures::future::join_all(waiting).await;
        assert!(admitted.iter().all(Option::is_none));
        assert_eq!(begun.elapsed(), Duration::from_secs(30));
        // A place that becomes free is given to the first that waits.
        let mut next = Box::pin(connections.admit());
        assert!(futures::poll!(next.as_mut()).is_pending());
        busy.pop();
        assert!(next.await.is_some());
    }
}
