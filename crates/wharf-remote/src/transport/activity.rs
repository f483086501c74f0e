//! Watches one exchange, and fails it when its connection stalls (wire.md R5).

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::time::Instant;

use wharf_core::blob::ByteStream;
use wharf_core::sync::Lock;
use wharf_core::{Error, ErrorKind};

/// Bytes given to a connection at a time: a connection that accepts fewer within the time limit
/// counts as stalled.
const SLICE: usize = 64 * 1024;

/// Shared by the body that is sent and the task that waits for the answer.
#[derive(Clone, Debug)]
pub(super) struct Activity(Arc<Lock<Progress>>);

#[derive(Debug)]
struct Progress {
    phase: Phase,
    since: Instant,
    source_error: Option<Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The connection has bytes to send.
    Sending,
    /// The connection waits for the source, which is not a stall.
    AwaitingSource,
    /// Everything is sent; the answer is awaited.
    Sent,
}

impl Activity {
    pub(super) fn new(has_body: bool) -> Self {
        let phase = if has_body {
            Phase::Sending
        } else {
            Phase::Sent
        };
        Activity(Arc::new(Lock::new(Progress {
            phase,
            since: Instant::now(),
            source_error: None,
        })))
    }

    /// When the wait ends, unless something happens before.
    fn deadline(&self, idle: Duration, answer: Duration) -> Instant {
        self.with(|state| match state.phase {
            Phase::Sending => state.since + idle,
            Phase::AwaitingSource => Instant::now() + idle,
            Phase::Sent => state.since + answer,
        })
    }

    /// Returns an error when the exchange has stalled for too long.
    pub(super) async fn stalled(&self, idle: Duration, answer: Duration) -> Error {
        loop {
            let deadline = self.deadline(idle, answer);
            tokio::time::sleep_until(deadline).await;
            if self.deadline(idle, answer) <= Instant::now() {
                let sent = self.with(|state| state.phase == Phase::Sent);
                return if sent {
                    silence("no answer", answer)
                } else {
                    silence("the registry accepted no byte", idle)
                };
            }
        }
    }

    /// Whether the whole body was given to the connection.
    pub(super) fn is_sent(&self) -> bool {
        self.with(|state| state.phase == Phase::Sent)
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
        self.with(|state| {
            state.phase = phase;
            state.since = Instant::now();
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut Progress) -> T) -> T {
        work(&mut self.0.lock())
    }
}

/// An error for a peer that was silent for `limit`.
pub(super) fn silence(what: &str, limit: Duration) -> Error {
    Error::new(
        ErrorKind::Timeout,
        format!("{what} for {} s", limit.as_secs_f64()),
    )
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

    #[tokio::test(start_paused = true)]
    async fn r5_gives_up_on_a_peer_that_does_not_answer() {
        let start = Instant::now();
        let error = Activity::new(false).stalled(IDLE, ANSWER).await;
        assert_eq!(
            (error.kind(), start.elapsed()),
            (ErrorKind::Timeout, ANSWER)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn r5_a_slow_source_is_not_the_connections_fault() {
        let activity = Activity::new(true);
        let chunks = futures::stream::once(async {
            tokio::time::sleep(IDLE * 5).await;
            Ok(Bytes::from_static(b"late"))
        });
        let body = activity.watch(chunks.boxed(), None);
        let stalled = activity.stalled(IDLE, ANSWER);
        tokio::select! {
            all = body.collect::<Vec<_>>() => assert_eq!(all.len(), 1),
            error = stalled => panic!("{error}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn r5_gives_up_on_a_peer_that_takes_no_bytes() {
        let activity = Activity::new(true);
        let chunks =
            futures::stream::iter([Ok(Bytes::from_static(b"a")), Ok(Bytes::from_static(b"b"))]);
        let mut body = std::pin::pin!(activity.watch(chunks.boxed(), Some(2)));
        body.next().await;
        let error = activity.stalled(IDLE, ANSWER).await;
        assert!(
            error.to_string().contains("accepted no byte for 60 s"),
            "{error}"
        );
    }
}
