//! The gate in front of one registry: limits concurrent requests of each kind, and holds all back
//! while the registry asks to wait (wire.md R2, R7).
//!
//! Admits requests in order. Dropping the waiting future, or the pass, frees the place.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::lane_kind::LaneKind;
use super::limit_window::{LimitWindow, Ticket};
use wharf_core::sync::Lock;

/// The most concurrent requests of each kind to one registry, from 1 to 4096. Fewer are sent for a
/// while after 429 and 503.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Existence checks; 64 by default.
    pub checks: usize,
    /// Sessions opened, mounts, deletions; 32 by default.
    pub opens: usize,
    /// Bodies of blobs being sent, until they are answered; 32 by default.
    pub sends: usize,
    /// Manifests put; 8 by default.
    pub manifests: usize,
    /// Reads, until their first byte; 32 by default.
    pub reads: usize,
    /// The longest wait that a registry can ask for (`Retry-After`); 120 s by default.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            checks: 64,
            opens: 32,
            sends: 32,
            manifests: 8,
            reads: 32,
            patience: Duration::from_secs(120),
        }
    }
}

/// Called when a registry asks to wait. Must not block.
pub trait PauseObserver: Debug + Send + Sync {
    /// No request is sent to `host`, a name or address with its port if any, for `wait`.
    fn on_pause(&self, host: &str, wait: Duration);
}

/// The gate of all requests for one registry, including those that it redirects: its storage is
/// part of it.
#[derive(Debug)]
pub(crate) struct Gate {
    host: String,
    checks: Lane,
    opens: Lane,
    sends: Lane,
    manifests: Lane,
    reads: Lane,
    patience: Duration,
    closed_until: Lock<Option<Instant>>,
    observer: Option<Arc<dyn PauseObserver>>,
}

impl Gate {
    /// An open gate to the registry called `host`.
    pub(crate) fn new(
        host: &str,
        limits: &Limits,
        observer: Option<Arc<dyn PauseObserver>>,
    ) -> Self {
        Gate {
            host: host.to_owned(),
            checks: Lane::new(limits.checks),
            opens: Lane::new(limits.opens),
            sends: Lane::new(limits.sends),
            manifests: Lane::new(limits.manifests),
            reads: Lane::new(limits.reads),
            patience: limits.patience.min(LONGEST),
            closed_until: Lock::default(),
            observer,
        }
    }

    /// Waits until a request of this kind may be sent.
    pub(crate) async fn enter(&self, kind: LaneKind) -> Pass<'_> {
        let pass = self.lane(kind).enter().await;
        // Later answers may prolong the wait.
        while let Some(until) = self.closed() {
            tokio::time::sleep_until(until).await;
        }
        pass
    }

    /// Returns a pass, with the status of the answer and the wait it asks for.
    pub(crate) fn leave(&self, pass: Pass<'_>, status: u16, wait: Option<Duration>) {
        let verdict = Load::of(status);
        // Closed before the pass is free, so that the next request finds the gate closed.
        if verdict == Load::TooMany
            && let Some(wait) = wait
        {
            self.close(wait);
        }
        pass.learn(verdict);
    }

    /// Waits until a request of this kind may be sent, and sends none. For requests that run to
    /// their end once started, but must not start after the caller is gone.
    pub(crate) async fn ready(&self, kind: LaneKind) {
        drop(self.enter(kind).await);
    }

    /// Whether the registry asks to wait.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed().is_some()
    }

    /// Until when no request may be sent, if in the future.
    fn closed(&self) -> Option<Instant> {
        self.closed_until
            .lock()
            .filter(|until| *until > Instant::now())
    }

    /// Holds all requests back for as long as the registry asks, at most `patience`.
    fn close(&self, wait: Duration) {
        let wait = wait.min(self.patience);
        let until = Instant::now() + wait;
        let mut closed = self.closed_until.lock();
        let before = *closed;
        *closed = before.max(Some(until));
        drop(closed);
        // All concurrent requests get the same answer; it is reported once.
        let news = !wait.is_zero() && before.is_none_or(|before| until > before + SAME);
        if let (true, Some(observer)) = (news, &self.observer) {
            observer.on_pause(&self.host, wait);
        }
    }

    fn lane(&self, kind: LaneKind) -> &Lane {
        match kind {
            LaneKind::Check => &self.checks,
            LaneKind::Open => &self.opens,
            LaneKind::Send => &self.sends,
            LaneKind::Manifest => &self.manifests,
            LaneKind::Read => &self.reads,
        }
    }
}

/// What an answer says about the number of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Load {
    Welcome,
    TooMany,
    /// Other errors say nothing about the number of requests.
    Unclear,
}

impl Load {
    fn of(status: u16) -> Self {
        match status {
            429 | 503 => Load::TooMany,
            408 | 500.. => Load::Unclear,
            _ => Load::Welcome,
        }
    }
}

/// The requests of one kind.
#[derive(Debug)]
struct Lane {
    /// As many permits as the window's size plus the debt, taken or not.
    places: Semaphore,
    state: Lock<LaneState>,
}

#[derive(Debug)]
struct LaneState {
    window: LimitWindow,
    /// Permits to drop on return, because the window shrank meanwhile.
    debt: usize,
}

/// The right to send one request; returned on drop.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    lane: &'a Lane,
    ticket: Ticket,
    held: Option<SemaphorePermit<'a>>,
}

impl Lane {
    fn new(ceiling: usize) -> Self {
        let window = LimitWindow::new(ceiling);
        Lane {
            places: Semaphore::new(window.size()),
            state: Lock::new(LaneState { window, debt: 0 }),
        }
    }

    async fn enter(&self) -> Pass<'_> {
        // The semaphore is never closed.
        let held = self.places.acquire().await.ok();
        let ticket = self.state.lock().window.start();
        Pass {
            lane: self,
            ticket,
            held,
        }
    }
}

impl Pass<'_> {
    /// Returns the place, with the verdict of the answer.
    fn learn(self, verdict: Load) {
        let mut state = self.lane.state.lock();
        let before = state.window.size();
        match verdict {
            Load::Welcome => state.window.welcomed(self.ticket),
            Load::TooMany => state.window.refused(self.ticket),
            Load::Unclear => {}
        }
        let after = state.window.size();
        if after > before {
            let more = after - before;
            let repaid = more.min(state.debt);
            state.debt -= repaid;
            self.lane.places.add_permits(more - repaid);
        } else {
            let fewer = before - after;
            let free = self.lane.places.forget_permits(fewer);
            state.debt += fewer - free;
        }
        // Returning the place takes the lock again.
        drop(state);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut state = self.lane.state.lock();
        state.window.end();
        if state.debt > 0 {
            state.debt -= 1;
            if let Some(held) = self.held.take() {
                held.forget();
            }
        }
    }
}

/// The upper bound of `patience`.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Two ends of waiting that are this close count as the same.
const SAME: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use futures::FutureExt;

    use super::*;

    fn gate(checks: usize) -> Gate {
        let limits = Limits {
            checks,
            ..Limits::default()
        };
        Gate::new("r.example", &limits, None)
    }

    /// Takes every place.
    async fn fill(gate: &Gate) -> Vec<Pass<'_>> {
        let mut places = Vec::new();
        while let Some(place) = gate.enter(LaneKind::Check).now_or_never() {
            places.push(place);
        }
        places
    }

    #[tokio::test]
    async fn r7_a_refusal_halves_the_places_and_answers_bring_them_back_one_by_one() {
        let gate = gate(8);
        let mut refused = fill(&gate).await;
        assert_eq!(refused.len(), 8);
        refused.pop().unwrap().learn(Load::TooMany);
        for left in (4..7).rev() {
            assert!(gate.enter(LaneKind::Check).now_or_never().is_none());
            refused.pop().unwrap().learn(Load::TooMany);
            assert_eq!(refused.len(), left);
        }
        drop(refused);
        for size in [4, 5, 6, 7, 8, 8] {
            let places = fill(&gate).await;
            assert_eq!(places.len(), size);
            for place in places {
                place.learn(Load::Welcome);
            }
        }
    }

    #[tokio::test]
    async fn r7_each_kind_has_its_own_places() {
        let gate = gate(1);
        let _check = gate.enter(LaneKind::Check).await;
        gate.enter(LaneKind::Check)
            .now_or_never()
            .ok_or(())
            .unwrap_err();
        for kind in [
            LaneKind::Open,
            LaneKind::Send,
            LaneKind::Manifest,
            LaneKind::Read,
        ] {
            gate.enter(kind).now_or_never().unwrap();
        }
    }

    #[tokio::test]
    async fn r7_those_who_wait_are_let_in_in_order_and_who_gives_up_leaves_no_gap() {
        let gate = gate(1);
        let first = gate.enter(LaneKind::Check).await;
        let mut second = Box::pin(gate.enter(LaneKind::Check));
        let mut third = Box::pin(gate.enter(LaneKind::Check));
        let mut fourth = Box::pin(gate.enter(LaneKind::Check));
        for waiting in [&mut second, &mut third, &mut fourth] {
            assert!(futures::poll!(waiting).is_pending());
        }
        drop(second);
        first.learn(Load::Unclear);
        assert!(futures::poll!(&mut fourth).is_pending());
        let Poll::Ready(place) = futures::poll!(&mut third) else {
            panic!("it is the third one's turn");
        };
        drop(place);
        fourth.await;
    }

    #[tokio::test]
    async fn r7_a_place_that_was_handed_over_to_one_who_gives_up_is_not_lost() {
        let gate = gate(1);
        let first = gate.enter(LaneKind::Check).await;
        let mut second = Box::pin(gate.enter(LaneKind::Check));
        assert!(futures::poll!(&mut second).is_pending());
        drop(first);
        drop(second);
        gate.enter(LaneKind::Check).now_or_never().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn r2_the_whole_host_waits_and_one_who_gives_up_meanwhile_holds_no_place() {
        let gate = gate(1);
        let start = Instant::now();
        gate.close(Duration::from_secs(30));
        let given_up = tokio::time::timeout(Duration::from_secs(10), gate.enter(LaneKind::Check));
        given_up.await.unwrap_err();
        let prolong = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            gate.close(Duration::from_secs(40));
        };
        tokio::join!(
            prolong,
            gate.enter(LaneKind::Check),
            gate.enter(LaneKind::Send)
        );
        assert_eq!(start.elapsed().as_secs(), 55);
    }

    #[derive(Debug, Default)]
    struct Told(Lock<Vec<(String, u64)>>);

    impl PauseObserver for Told {
        fn on_pause(&self, host: &str, wait: Duration) {
            let told = (host.to_owned(), wait.as_secs());
            self.0.lock().push(told);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn r2_a_pause_is_told_once_and_bounded() {
        let told = Arc::new(Told::default());
        let observer = Arc::clone(&told);
        let gate = Gate::new("r.example", &Limits::default(), Some(observer));
        for seconds in [0, 30, 30, 29, 10, 31, 9999, 9999] {
            gate.close(Duration::from_secs(seconds));
        }
        let start = Instant::now();
        gate.enter(LaneKind::Read).await;
        assert_eq!(start.elapsed().as_secs(), 120);
        gate.close(Duration::from_secs(2));
        let expected = [30, 120, 2].map(|seconds| ("r.example".to_owned(), seconds));
        assert_eq!(*told.0.lock(), expected);
    }
}
