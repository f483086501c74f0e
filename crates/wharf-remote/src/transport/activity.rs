//! Watches one exchange, and fails it when its connection stalls (wire.md R5).

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::Instant;

use wharf_core::blob::ByteStream;
use wharf_core::sync::Lock;
use wharf_core::{Error, ErrorKind};

/// Bytes given to a connection at a time: a connection that accepts fewer within the time limit
/// counts as stalled.
const SLICE: usize = 64 * 1024;

/// Shared by the body that is sent and the task that waits for the answer.
#[derive(Clone, Debug)]
pub(super) struct Activity(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    progress: Lock<Progress>,
    /// Wakes the task when the phase changes, since another limit is in force then.
    changed: Notify,
}

#[derive(Debug)]
struct Progress {
    phase: Phase,
    since: Instant,
    /// Whether the connection was given a byte of the body, or its end.
    touched: bool,
    source_error: Option<Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The request is on no connection yet.
    Connecting,
    /// The connection has bytes to send.
    Sending,
    /// The connection waits for the source, which is not a stall.
    AwaitingSource,
    /// Everything is sent; the answer is awaited.
    Sent,
}

/// The limits of one exchange. Each counts from the beginning of its phase.
#[derive(Clone, Copy, Debug)]
pub(super) struct WaitLimits {
    /// Until the request is on a connection. The connector has a limit of its own, and reports more.
    pub(super) connect: Duration,
    /// Without a byte sent.
    pub(super) idle: Duration,
    /// For the answer.
    pub(super) answer: Duration,
}

impl Activity {
    pub(super) fn new() -> Self {
        Activity(Arc::new(Shared {
            progress: Lock::new(Progress {
                phase: Phase::Connecting,
                since: Instant::now(),
                touched: false,
                source_error: None,
            }),
            changed: Notify::new(),
        }))
    }

    /// When the wait ends, unless something happens before.
    fn deadline(&self, limits: &WaitLimits) -> Instant {
        self.with(|state| match state.phase {
            Phase::Connecting => state.since + limits.connect + limits.idle,
            Phase::Sending => state.since + limits.idle,
            Phase::AwaitingSource => Instant::now() + limits.idle,
            Phase::Sent => state.since + limits.answer,
        })
    }

    /// Returns an error when the exchange has stalled for too long.
    pub(super) async fn stalled(&self, limits: WaitLimits) -> Error {
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(self.deadline(&limits)) => {}
                () = self.0.changed.notified() => continue,
            }
            if self.deadline(&limits) <= Instant::now() {
                let (phase, since) = self.with(|state| (state.phase, state.since));
                return match phase {
                    Phase::Connecting => silence("no connection", limits.connect, since),
                    Phase::Sent => silence("no answer", limits.answer, since),
                    Phase::Sending | Phase::AwaitingSource => {
                        silence("the registry accepted no byte", limits.idle, since)
                    }
                };
            }
        }
    }

    /// An empty body, watched.
    pub(super) fn nothing(&self) -> Nothing {
        Nothing(self.clone())
    }

    /// Whether the whole body was given to the connection.
    pub(super) fn is_sent(&self) -> bool {
        self.with(|state| state.phase == Phase::Sent)
    }

    /// Whether the connection was given nothing of the body.
    pub(super) fn is_untouched(&self) -> bool {
        self.with(|state| !state.touched)
    }

    /// The error that ended the body, if it was the source's and not the connection's.
    pub(super) fn take_source_error(&self) -> Option<Error> {
        self.with(|state| state.source_error.take())
    }

    /// The same bytes, watched. `length` is the number of bytes announced, if any.
    pub(super) fn watch(
        &self,
        mut stream: ByteStream,
        length: Option<u64>,
    ) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
        let activity = self.clone();
        let mut sent = 0;
        let mut left = Bytes::new();
        futures::stream::poll_fn(move |context| {
            let polled = match left.is_empty() {
                true => stream.poll_next_unpin(context),
                false => Poll::Ready(Some(Ok(std::mem::take(&mut left)))),
            };
            polled
                .map(|item| match item {
                    Some(Ok(mut chunk)) => {
                        // Progress is seen when the next slice is polled.
                        left = chunk.split_off(SLICE.min(chunk.len()));
                        sent += chunk.len() as u64;
                        // A body of announced length is not polled for its end.
                        let whole = length.is_some_and(|length| sent >= length);
                        activity.enter(if whole { Phase::Sent } else { Phase::Sending });
                        Some(Ok(chunk))
                    }
                    Some(Err(error)) => {
                        activity.with(|state| state.source_error = Some(error));
                        Some(Err(std::io::Error::other("the source failed")))
                    }
                    None => {
                        activity.enter(Phase::Sent);
                        None
                    }
                })
                .map_pending(|| activity.enter(Phase::AwaitingSource))
        })
    }

    fn enter(&self, phase: Phase) {
        let before = self.with(|state| {
            state.since = Instant::now();
            state.touched |= matches!(phase, Phase::Sending | Phase::Sent);
            std::mem::replace(&mut state.phase, phase)
        });
        if before != phase {
            self.0.changed.notify_one();
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Progress) -> T) -> T {
        work(&mut self.0.progress.lock())
    }
}

/// An empty body. A connection asks for its end when it takes the request.
#[derive(Debug)]
pub(super) struct Nothing(Activity);

impl Body for Nothing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        if !self.0.is_sent() {
            self.0.enter(Phase::Sent);
        }
        true
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(0)
    }
}

/// A wait that ends this much after its limit says the limit.
const LATE: Duration = Duration::from_secs(1);

/// An error for a peer that was silent for `limit`, or longer `since` then.
pub(super) fn silence(what: &str, limit: Duration, since: Instant) -> Error {
    let passed = since.elapsed();
    let passed = match passed > limit.saturating_add(LATE) {
        true => Duration::from_secs(passed.as_secs()),
        false => limit,
    };
    let message = format!("{what} for {} s", passed.as_secs_f64());
    Error::new(ErrorKind::Timeout, message)
}

trait MapPending: Sized {
    fn map_pending(self, work: impl FnOnce()) -> Self;
}

impl<T> MapPending for Poll<T> {
    fn map_pending(self, work: impl FnOnce()) -> Self {
        if self.is_pending() {
            work();
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(60);
    const ANSWER: Duration = Duration::from_secs(30);
    const LIMITS: WaitLimits = WaitLimits {
        connect: Duration::from_secs(10),
        idle: IDLE,
        answer: ANSWER,
    };

    #[tokio::test(start_paused = true)]
    async fn r5_gives_up_on_a_peer_that_does_not_answer() {
        let start = Instant::now();
        let activity = Activity::new();
        assert!(activity.nothing().is_end_stream());
        let error = activity.stalled(LIMITS).await;
        assert_eq!(
            (error.kind(), start.elapsed()),
            (ErrorKind::Timeout, ANSWER)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn r5_a_slow_source_is_not_the_connections_fault() {
        let activity = Activity::new();
        let chunks = futures::stream::once(async {
            tokio::time::sleep(IDLE * 5).await;
            Ok(Bytes::from_static(b"late"))
        });
        let body = activity.watch(chunks.boxed(), None);
        let stalled = activity.stalled(LIMITS);
        tokio::select! {
            all = body.collect::<Vec<_>>() => assert_eq!(all.len(), 1),
            error = stalled => panic!("{error}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn r5_gives_up_on_a_peer_that_takes_no_bytes() {
        let activity = Activity::new();
        let chunks =
            futures::stream::iter([Ok(Bytes::from_static(b"a")), Ok(Bytes::from_static(b"b"))]);
        let mut body = std::pin::pin!(activity.watch(chunks.boxed(), Some(2)));
        body.next().await;
        let error = activity.stalled(LIMITS).await;
        assert!(
            error.to_string().contains("accepted no byte for 60 s"),
            "{error}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn fault_a5_a_limit_is_in_force_as_soon_as_its_phase_begins() {
        let start = Instant::now();
        let activity = Activity::new();
        let watching = activity.clone();
        let stalled = tokio::spawn(async move { watching.stalled(LIMITS).await });
        let body = activity.watch(slow(&[1, 1]).boxed(), None);
        let sent: Vec<_> = body.collect().await;
        assert_eq!(sent.len(), 2);
        let error = stalled.await.unwrap();
        assert_eq!(start.elapsed(), Duration::from_secs(2) + ANSWER, "{error}");
        assert!(error.to_string().ends_with("no answer for 30 s"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn fault_a5_no_time_to_connect_is_added_on_a_standing_connection() {
        let start = Instant::now();
        let activity = Activity::new();
        let mut body = std::pin::pin!(activity.watch(slow(&[0, 0]).boxed(), Some(2)));
        body.next().await;
        let error = activity.stalled(LIMITS).await;
        assert_eq!(start.elapsed(), IDLE, "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn fault_a5_time_to_connect_is_not_taken_from_the_answer() {
        let start = Instant::now();
        let activity = Activity::new();
        let watching = activity.clone();
        let stalled = tokio::spawn(async move { watching.stalled(LIMITS).await });
        tokio::time::sleep(Duration::from_secs(8)).await;
        assert!(activity.nothing().is_end_stream());
        stalled.await.unwrap();
        assert_eq!(start.elapsed(), Duration::from_secs(8) + ANSWER);
    }

    #[tokio::test(start_paused = true)]
    async fn fault_a5_the_message_says_how_long_it_was() {
        let since = Instant::now();
        let said = || silence("no answer", Duration::from_millis(300), since).to_string();
        assert_eq!(said(), "no answer for 0.3 s");
        tokio::time::advance(Duration::from_millis(1100)).await;
        assert_eq!(said(), "no answer for 0.3 s");
        tokio::time::advance(Duration::from_millis(69_200)).await;
        assert_eq!(said(), "no answer for 70 s");
    }

    /// Chunks of a byte, each after so many seconds.
    fn slow(
        seconds: &'static [u64],
    ) -> impl Stream<Item = wharf_core::Result<Bytes>> + Send + 'static {
        futures::stream::iter(seconds).then(|seconds| async {
            tokio::time::sleep(Duration::from_secs(*seconds)).await;
            Ok(Bytes::from_static(b"x"))
        })
    }
}
