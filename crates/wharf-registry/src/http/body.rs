//! The body of a request. A client may send it slowly, but not stall for ever, nor almost.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use hyper::body::{Body, Incoming};
use tokio::time::Instant;
use wharf_core::blob::ByteStream;
use wharf_core::sync::Lock;
use wharf_core::{Error, ErrorKind, Result};

use super::activity::{Activity, least};
use crate::budget::{Budget, Portion, SMALL};

/// A refused client gets its answer after it has sent this much, or after this time.
const DRAIN_BYTES: u64 = 64 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// The body of a request.
#[derive(Clone, Debug)]
pub(crate) struct RequestBody {
    incoming: Arc<Lock<Incoming>>,
    activity: Arc<Activity>,
}

impl RequestBody {
    pub(super) fn new(incoming: Incoming, activity: Arc<Activity>) -> Self {
        RequestBody {
            incoming: Arc::new(Lock::new(incoming)),
            activity,
        }
    }

    /// Whether there is no body, or it was read to its end.
    pub(crate) fn is_at_end(&self) -> bool {
        self.incoming.lock().is_end_stream()
    }

    /// The bytes that were not read yet. Fails with [`ErrorKind::Timeout`] if they arrive too slowly.
    pub(crate) fn stream(&self) -> ByteStream {
        let state = (self.clone(), Pace::new(self.activity.limits().body));
        stream::try_unfold(state, |(body, mut pace)| async move {
            let begun = Instant::now();
            let next = tokio::time::timeout(pace.window, body.chunk()).await;
            let chunk = match next {
                Ok(chunk) => chunk.transpose()?,
                Err(_) => return Err(too_slow("no bytes of the request's body arrived")),
            };
            let Some(chunk) = chunk else {
                return Ok(None);
            };
            pace.count(begun.elapsed(), chunk.len())?;
            Ok(Some((chunk, (body, pace))))
        })
        .boxed()
    }

    /// All of it, with its portion of `budget`; `None` if it has more than `limit` bytes.
    pub(crate) async fn read_all(&self, limit: u64, budget: &Budget) -> Result<Option<Document>> {
        let length = self.incoming.lock().size_hint().exact();
        if length.is_some_and(|length| length > limit) {
            return Ok(None);
        }
        let (mut stream, mut bytes, mut portion) = (self.stream(), BytesMut::new(), None);
        let mut since = None;
        while let Some(chunk) = self.next(&mut stream, since, budget).await.transpose()? {
            let read = (bytes.len() + chunk.len()) as u64;
            if read > limit {
                return Ok(None);
            }
            if read > SMALL && portion.is_none() {
                let most = length.unwrap_or(limit);
                portion = budget.take(most).await?;
                since = Some(Instant::now());
                // All at once: a buffer that grows takes twice its size for a moment.
                bytes.reserve(
                    usize::try_from(most)
                        .unwrap_or_default()
                        .saturating_sub(bytes.len()),
                );
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Some(Document {
            bytes: bytes.freeze(),
            portion,
        }))
    }

    /// The next bytes of a document that holds a portion of `budget` since a moment, or none yet. Fails
    /// if it holds that for long while others wait.
    async fn next(
        &self,
        stream: &mut ByteStream,
        since: Option<Instant>,
        budget: &Budget,
    ) -> Option<Result<Bytes>> {
        let Some(since) = since else {
            return stream.next().await;
        };
        let hold = self.activity.limits().hold();
        loop {
            let next = tokio::time::timeout(hold, stream.next()).await;
            if since.elapsed() >= hold && budget.is_contended() {
                let message = "the document arrives too slowly while others wait for its memory";
                return Some(Err(too_slow(message)));
            }
            if let Ok(next) = next {
                return next;
            }
        }
    }

    /// Reads the bytes that a refused client still sends. Closing the connection with unread bytes
    /// would reset it, and the client might never see the answer.
    pub(crate) async fn drain(&self) {
        let reading = async {
            let mut left = DRAIN_BYTES;
            while let Some(Ok(chunk)) = self.chunk().await {
                left = left.saturating_sub(chunk.len() as u64);
                if left == 0 {
                    return;
                }
            }
        };
        // When the time is over, the rest is not read.
        let _ = tokio::time::timeout(DRAIN_TIME, reading).await;
    }

    async fn chunk(&self) -> Option<Result<Bytes>> {
        loop {
            let frame = std::future::poll_fn(|context| {
                let frame = Pin::new(&mut *self.incoming.lock()).poll_frame(context);
                self.activity.receives(frame.is_pending());
                frame
            });
            match frame.await? {
                Ok(frame) => {
                    // Trailers have no meaning here.
                    if let Ok(chunk) = frame.into_data() {
                        return Some(Ok(chunk));
                    }
                }
                Err(error) => {
                    let broke = Error::new(ErrorKind::Interrupted, "the request's body broke off");
                    return Some(Err(broke.source(error)));
                }
            }
        }
    }
}

/// All of a body, and what it takes of a budget.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) bytes: Bytes,
    pub(crate) portion: Option<Portion>,
}

/// The pace of a body: the bytes of each window of time in which the server waited for them. Time in
/// which the server was busy does not count.
struct Pace {
    window: Duration,
    waited: Duration,
    bytes: u64,
}

impl Pace {
    fn new(window: Duration) -> Self {
        Pace {
            window,
            waited: Duration::ZERO,
            bytes: 0,
        }
    }

    /// Counts bytes for which the server waited.
    fn count(&mut self, waited: Duration, bytes: usize) -> Result<()> {
        self.waited += waited;
        self.bytes += bytes as u64;
        if self.waited < self.window {
            return Ok(());
        }
        if self.bytes < least(self.waited) {
            let message = format!(
                "the request's body arrives too slowly: {} bytes in {} s",
                self.bytes,
                self.waited.as_secs()
            );
            return Err(too_slow(&message));
        }
        *self = Pace::new(self.window);
        Ok(())
    }
}

fn too_slow(message: &str) -> Error {
    Error::new(ErrorKind::Timeout, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(60);

    #[test]
    fn fault_a10_a_body_that_trickles_is_given_up_after_a_window() {
        let mut pace = Pace::new(WINDOW);
        let second = Duration::from_secs(1);
        let kept = (0..100).take_while(|_| pace.count(second, 1000).is_ok());
        assert_eq!(kept.count(), 59);
    }

    #[test]
    fn fault_a10_a_slow_body_may_take_its_time() {
        let mut pace = Pace::new(WINDOW);
        let second = Duration::from_secs(1);
        assert!((0..10_000).all(|_| pace.count(second, 1024).is_ok()));
        // Bursts count as well as a steady flow.
        let mut bursts = (0..1000).map(|number| usize::from(number % 59 == 0) * (64 << 10));
        assert!(bursts.all(|bytes| pace.count(second, bytes).is_ok()));
        // So does a client that the server keeps waiting.
        assert!((0..10_000).all(|_| pace.count(Duration::ZERO, 1).is_ok()));
    }
}
