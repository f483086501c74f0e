//! What one connection is doing, as its socket and its requests report it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use wharf_core::sync::Lock;

use super::limits::{LEAST_RATE, Limits};

/// A connection as the server sees it.
#[derive(Debug)]
pub(super) struct Activity {
    limits: Limits,
    state: Lock<State>,
    close: Notify,
}

#[derive(Clone, Copy, Debug)]
struct State {
    /// Whether a request is under way: from the end of its head to the end of its answer.
    request: bool,
    /// When the last request ended, or the connection began.
    idle_since: Instant,
    /// When the first byte of the next head arrived.
    head_since: Option<Instant>,
    /// Whether a request waits for bytes of its body.
    receives: bool,
    /// Whether an answer waits for the client to read.
    sends: bool,
    /// Bytes in both directions.
    moved: u64,
    /// A moment, and the bytes until then.
    mark: (Instant, u64),
    /// Whether the client moved almost nothing before the mark.
    slow: bool,
    closing: bool,
}

/// Why a connection may be closed for the sake of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Dispensable {
    /// No request is under way, since then.
    Idle(Instant),
    /// It waits for its client, which moved almost nothing before then.
    Slow(Instant),
}

impl Activity {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        let now = Instant::now();
        let state = State {
            request: false,
            idle_since: now,
            head_since: None,
            receives: false,
            sends: false,
            moved: 0,
            mark: (now, 0),
            slow: false,
            closing: false,
        };
        Arc::new(Activity {
            limits,
            state: Lock::new(state),
            close: Notify::new(),
        })
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Notes bytes that arrived.
    pub(super) fn received(&self, bytes: usize) {
        let mut state = self.state.lock();
        state.moved += bytes as u64;
        if !state.request && bytes > 0 {
            state.head_since.get_or_insert_with(Instant::now);
        }
    }

    /// Notes bytes that were sent.
    pub(super) fn sent(&self, bytes: usize) {
        self.state.lock().moved += bytes as u64;
    }

    /// Notes whether a request waits for its body.
    pub(super) fn receives(&self, waits: bool) {
        self.state.lock().receives = waits;
    }

    /// Notes whether an answer waits for the client to read.
    pub(super) fn sends(&self, waits: bool) {
        self.state.lock().sends = waits;
    }

    /// Notes a request, which ends when the result is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> UnderWay {
        let mut state = self.state.lock();
        state.request = true;
        state.head_since = None;
        state.mark = (Instant::now(), state.moved);
        state.slow = false;
        UnderWay(Arc::clone(self))
    }

    /// Why the connection may be closed, if so.
    pub(super) fn dispensable(&self) -> Option<Dispensable> {
        let state = self.state.lock();
        state.dispensable().filter(|_| !state.closing)
    }

    /// Has the connection closed, unless it becomes useful before.
    pub(super) fn close(&self) {
        self.state.lock().closing = true;
        self.close.notify_one();
    }

    /// Looks at the clock: notes whether the client is slow, and closes what is overdue.
    pub(super) fn tick(&self, now: Instant) {
        let mut state = self.state.lock();
        let watched = now.duration_since(state.mark.0);
        if watched >= self.limits.watch() {
            let moved = state.moved - state.mark.1;
            state.slow = moved < least(watched);
            state.mark = (now, state.moved);
        }
        let overdue = state.is_overdue(now, &self.limits);
        drop(state);
        if overdue {
            self.close();
        }
    }

    /// Waits until the connection should be closed.
    pub(super) async fn closed(&self) {
        loop {
            self.close.notified().await;
            let mut state = self.state.lock();
            if state.dispensable().is_some() {
                return;
            }
            // A request arrived in time.
            state.closing = false;
        }
    }
}

impl State {
    fn dispensable(&self) -> Option<Dispensable> {
        match (self.request, self.sends) {
            (false, false) => Some(Dispensable::Idle(self.idle_since)),
            _ if self.slow && (self.receives || self.sends) => Some(Dispensable::Slow(self.mark.0)),
            _ => None,
        }
    }

    fn is_overdue(&self, now: Instant, limits: &Limits) -> bool {
        if self.request || self.sends {
            return false;
        }
        match self.head_since {
            Some(since) => now.duration_since(since) >= limits.head,
            None => now.duration_since(self.idle_since) >= limits.idle,
        }
    }
}

/// The bytes that a client must move in a time.
pub(super) fn least(time: Duration) -> u64 {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    millis.saturating_mul(LEAST_RATE) / 1000
}

/// A request that is under way.
#[derive(Debug)]
pub(super) struct UnderWay(Arc<Activity>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.request = false;
        state.receives = false;
        state.idle_since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn activity() -> Arc<Activity> {
        let limits = Limits {
            connections: 1,
            ..Limits::default()
        };
        Activity::new(limits)
    }

    fn is_closing(activity: &Activity) -> bool {
        activity.tick(Instant::now());
        activity.state.lock().closing
    }

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn fault_a10_a_head_and_an_idle_connection_have_their_time() {
        let silent = activity();
        advance(seconds(59)).await;
        assert!(!is_closing(&silent));
        advance(seconds(1)).await;
        assert!(is_closing(&silent));
        let trickling = activity();
        for _ in 0..19 {
            trickling.received(1);
            advance(seconds(1)).await;
            assert!(!is_closing(&trickling));
        }
        advance(seconds(1)).await;
        trickling.received(1);
        assert!(is_closing(&trickling));
    }

    #[tokio::test(start_paused = true)]
    async fn fault_a10_a_request_under_way_is_never_overdue() {
        let activity = activity();
        activity.received(100);
        let request = activity.begin();
        advance(seconds(1000)).await;
        assert!(!is_closing(&activity));
        assert_eq!(activity.dispensable(), None);
        drop(request);
        // The time of an idle connection begins with the end of its request.
        advance(seconds(59)).await;
        assert!(!is_closing(&activity));
        assert!(matches!(activity.dispensable(), Some(Dispensable::Idle(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn fault_a10_a_slow_client_is_dispensable_and_slow_work_of_the_server_is_not() {
        let activity = activity();
        let _request = activity.begin();
        activity.receives(true);
        advance(seconds(6)).await;
        activity.tick(Instant::now());
        assert!(matches!(activity.dispensable(), Some(Dispensable::Slow(_))));
        activity.receives(false);
        assert_eq!(activity.dispensable(), None);
        activity.receives(true);
        activity.received(7 << 10);
        advance(seconds(6)).await;
        activity.tick(Instant::now());
        assert_eq!(activity.dispensable(), None);
    }

    #[tokio::test]
    async fn fault_a10_a_request_that_arrives_in_time_keeps_its_connection() {
        let activity = activity();
        activity.close();
        let request = activity.begin();
        assert!(futures::poll!(std::pin::pin!(activity.closed())).is_pending());
        drop(request);
        activity.close();
        activity.closed().await;
    }
}
