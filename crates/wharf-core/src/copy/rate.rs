//! A bound on the bytes that all transfers together send in a second.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::time::{Instant, sleep_until};

use crate::Result;
use crate::blob::ByteStream;
use crate::sync::Lock;

/// The most bytes per second of all transfers together. Clones share the bound: every copy with a
/// clone of it counts.
///
/// Bytes that go to several destinations count once for each. Time that is not used is not saved up,
/// so no burst follows a pause.
#[derive(Clone, Debug)]
pub struct RateLimit(Arc<Bucket>);

#[derive(Debug)]
struct Bucket {
    per_second: NonZeroU64,
    /// When the bytes that were let through so far are paid for.
    paid: Lock<Option<Instant>>,
}

/// The most bytes that are let through at once; fewer where they would take longer than `STEP`.
const PIECE: u64 = 256 << 10;

/// The longest wait for one piece of a single stream: short beside every limit on silence.
const STEP: Duration = Duration::from_millis(50);

impl RateLimit {
    /// At most this many bytes per second.
    pub fn new(bytes_per_second: NonZeroU64) -> Self {
        RateLimit(Arc::new(Bucket {
            per_second: bytes_per_second,
            paid: Lock::default(),
        }))
    }

    /// The same bytes, in pieces, each when its turn is.
    pub(super) fn pace(&self, stream: ByteStream) -> ByteStream {
        let (limit, piece) = (self.clone(), self.0.piece());
        let pieces = stream.map_ok(move |chunk| stream::iter(split(chunk, piece)));
        let paced = pieces.try_flatten().and_then(move |piece| {
            let turn = limit.0.turn(piece.len());
            async move {
                sleep_until(turn).await;
                Ok(piece)
            }
        });
        paced.boxed()
    }
}

impl Bucket {
    fn piece(&self) -> usize {
        let step = u64::try_from(STEP.as_millis()).unwrap_or(u64::MAX);
        let piece = self.per_second.get().saturating_mul(step) / 1000;
        usize::try_from(piece.clamp(1, PIECE)).unwrap_or(usize::MAX)
    }

    /// When this many bytes may pass. They count from then on, so turns are in the order of calls.
    fn turn(&self, bytes: usize) -> Instant {
        let nanos = (bytes as u128 * 1_000_000_000).div_ceil(self.per_second.get().into());
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let now = Instant::now();
        let mut paid = self.paid.lock();
        let turn = paid.map_or(now, |paid| paid.max(now));
        *paid = turn.checked_add(cost);
        turn
    }
}

/// A chunk in pieces of at most this many bytes.
fn split(mut chunk: Bytes, piece: usize) -> impl Iterator<Item = Result<Bytes>> {
    std::iter::from_fn(move || {
        let next = chunk.split_to(piece.min(chunk.len()));
        (!next.is_empty()).then_some(Ok(next))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, ErrorKind};

    fn limit(rate: u64) -> RateLimit {
        RateLimit::new(NonZeroU64::new(rate).unwrap())
    }

    fn stream(sizes: &[usize]) -> ByteStream {
        let chunks: Vec<_> = sizes
            .iter()
            .map(|size| Ok(Bytes::from(vec![7; *size])))
            .collect();
        stream::iter(chunks).boxed()
    }

    async fn length(stream: ByteStream) -> usize {
        let chunks: Vec<Bytes> = stream.try_collect().await.unwrap();
        chunks.concat().len()
    }

    #[tokio::test(start_paused = true)]
    async fn all_streams_together_keep_to_the_rate() {
        let (limit, begun) = (limit(1000), Instant::now());
        let paced = |size| limit.pace(stream(&[size, 0, size]));
        let lengths = futures::future::join(length(paced(1000)), length(paced(500))).await;
        assert_eq!(lengths, (2000, 1000));
        // The last piece passes when all before it are paid for.
        let spent = begun.elapsed().as_millis();
        assert!((2900..=3000).contains(&spent), "{spent}");
        // A pause saves nothing up.
        tokio::time::sleep(Duration::from_secs(100)).await;
        let begun = Instant::now();
        assert_eq!(length(paced(500)).await, 1000);
        let spent = begun.elapsed().as_millis();
        assert!((900..=1000).contains(&spent), "{spent}");
    }

    #[tokio::test(start_paused = true)]
    async fn no_wait_is_long_and_no_piece_is_large() {
        for rate in [1, 10, 1000, 1 << 20, u64::MAX] {
            let mut paced = limit(rate).pace(stream(&[64]));
            let mut before = Instant::now();
            while let Some(piece) = paced.try_next().await.unwrap() {
                assert!(!piece.is_empty() && piece.len() as u64 <= PIECE);
                let waited = before.elapsed();
                assert!(waited <= Duration::from_millis(1001), "{rate}: {waited:?}");
                before = Instant::now();
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_of_the_stream_passes() {
        let broken = Error::new(ErrorKind::Io, "broken");
        let chunks = [Ok(Bytes::from_static(b"abc")), Err(broken)];
        let mut paced = limit(10).pace(stream::iter(chunks).boxed());
        let mut passed = 0;
        let error = loop {
            match paced.try_next().await {
                Ok(Some(piece)) => passed += piece.len(),
                Ok(None) => panic!("no error"),
                Err(error) => break error,
            }
        };
        assert_eq!((passed, error.kind()), (3, ErrorKind::Io));
    }
}
