//! Decides when work is tried again. The unit is one blob or one manifest with its existence check.
//! No other level retries (wire.md R1, R3).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Retry;
use crate::{Error, Result};

/// How often, and how soon, to retry work after a transient error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The most tries in a row without progress, the first included; 5 by default, at least 1.
    pub tries: u32,
    /// The longest wait before the second try, 1 s by default. It doubles with each further try;
    /// each wait is a random part of it.
    pub base: Duration,
    /// The upper bound of such waits; 20 s by default.
    pub cap: Duration,
    /// The upper bound of waits that a registry asks for (`Retry-After`); 120 s by default.
    pub patience: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            tries: 5,
            base: Duration::from_secs(1),
            cap: Duration::from_secs(20),
            patience: Duration::from_secs(120),
        }
    }
}

/// A try that made progress resets the count, up to this many times the allowed tries in all. That
/// is enough for 10 GiB over a connection that breaks each 100 MB; a connection that breaks after
/// each megabyte still fails in the end.
const PROGRESS_FACTOR: u32 = 40;

/// How far the tries of one piece of work got, in bytes.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// What the last try sent.
    sent: AtomicU64,
    /// The offset at which the last resumed try continued: the registry has all bytes before it.
    acknowledged: AtomicU64,
}

impl Reach {
    /// A try begins.
    pub(super) fn start(&self) {
        self.sent.store(0, Ordering::Relaxed);
    }

    /// The try reached this position.
    pub(super) fn advance(&self, position: u64) {
        self.sent.store(position, Ordering::Relaxed);
    }

    /// The try continued from here.
    pub(super) fn acknowledge(&self, position: u64) {
        self.acknowledged.store(position, Ordering::Relaxed);
    }
}

/// The count of failed tries and their progress.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempts {
    /// All tries so far.
    total: u32,
    /// Tries since the last one that got further than all before it.
    fruitless: u32,
    /// The furthest position of any try, in bytes.
    furthest: u64,
    /// The furthest offset that any try continued from.
    acknowledged: u64,
}

impl Attempts {
    pub(super) fn new() -> Self {
        Attempts {
            total: 0,
            fruitless: 0,
            furthest: 0,
            acknowledged: 0,
        }
    }

    /// Counts a try.
    fn count(&mut self, reach: &Reach) {
        let sent = reach.sent.load(Ordering::Relaxed);
        let acknowledged = reach.acknowledged.load(Ordering::Relaxed);
        self.total += 1;
        self.fruitless = if sent > self.furthest || acknowledged > self.acknowledged {
            1
        } else {
            self.fruitless + 1
        };
        self.furthest = self.furthest.max(sent);
        self.acknowledged = self.acknowledged.max(acknowledged);
    }
}

impl RetryPolicy {
    /// Tries `work` until it succeeds, fails for good, or has failed too often; for single requests
    /// outside a copy.
    ///
    /// # Errors
    /// The last one of `work`, with the number of tries.
    pub async fn run<T, W>(&self, work: impl FnMut() -> W) -> Result<T>
    where
        W: Future<Output = Result<T>>,
    {
        run(self, work, &Reach::default(), |_| ()).await
    }

    /// How long to wait after this many tries in a row without progress.
    /// `random` is in 0..1 and spreads the waits of many clients (full jitter).
    pub(super) fn wait_after(&self, tries: u32, random: f64) -> Duration {
        let doublings = tries.saturating_sub(1).min(16);
        let longest = self.base.saturating_mul(1 << doublings).min(self.cap);
        longest.mul_f64(random)
    }

    /// How long to wait before the next try, or `None` to give up.
    fn decide(&self, attempts: &Attempts, error: &Error, random: f64) -> Option<Duration> {
        let exhausted = attempts.fruitless >= self.tries
            || attempts.total >= self.tries.saturating_mul(PROGRESS_FACTOR);
        if !error.is_transient() || exhausted {
            return None;
        }
        let own = self.wait_after(attempts.fruitless, random);
        let asked = error.wait().unwrap_or_default().min(self.patience);
        Some(own.max(asked))
    }
}

/// Tries `work` until it succeeds, fails for good or the policy gives up. `reach` holds the
/// progress of the last try; `notice` is called before each further try.
///
/// Not an `AsyncFnMut`: the compiler cannot see yet that its futures are `Send`
/// (rust-lang/rust#110338).
pub(super) async fn run<T, W>(
    policy: &RetryPolicy,
    mut work: impl FnMut() -> W,
    reach: &Reach,
    notice: impl Fn(&Retry<'_>),
) -> Result<T>
where
    W: Future<Output = Result<T>>,
{
    let mut attempts = Attempts::new();
    loop {
        let error = match work().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        attempts.count(reach);
        let Some(wait) = policy.decide(&attempts, &error, fastrand::f64()) else {
            return Err(error.explained().await.tries(attempts.total));
        };
        tracing::debug!(%error, ?wait, "trying again");
        notice(&Retry {
            tries: attempts.total,
            wait,
            error: &error,
        });
        tokio::time::sleep(wait).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::ErrorKind;

    fn server_error() -> Error {
        Error::new(ErrorKind::Server, "500")
    }

    #[tokio::test(start_paused = true)]
    async fn r1_gives_up_after_five_fruitless_tries_and_says_so() {
        let calls = Cell::new(0);
        let work = async || {
            calls.set(calls.get() + 1);
            Err::<(), _>(server_error())
        };
        let error = run(&RetryPolicy::default(), work, &Reach::default(), |_| ())
            .await
            .unwrap_err();
        assert_eq!(calls.get(), 5);
        assert!(error.to_string().ends_with("(after 5 tries)"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn r1_a_try_that_got_further_starts_the_count_anew() {
        let calls = Cell::new(0u64);
        let reach = Reach::default();
        let work = async || {
            calls.set(calls.get() + 1);
            reach.advance(calls.get());
            if calls.get() < 8 {
                Err(server_error())
            } else {
                Ok(calls.get())
            }
        };
        let outcome = run(&RetryPolicy::default(), work, &reach, |_| ()).await;
        assert_eq!(outcome.unwrap(), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn r1_ten_gibibytes_arrive_in_pieces_of_a_hundred_megabytes() {
        let (sent, reach) = (Cell::new(0u64), Reach::default());
        let work = async || {
            reach.start();
            reach.acknowledge(sent.get());
            sent.set(sent.get() + 100_000_000);
            reach.advance(sent.get());
            if sent.get() < 10 << 30 {
                return Err(server_error());
            }
            Ok(())
        };
        let outcome = run(&RetryPolicy::default(), work, &reach, |_| ()).await;
        outcome.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn u5_a_try_that_could_go_on_further_starts_the_count_anew() {
        let (calls, reach) = (Cell::new(0u64), Reach::default());
        let work = async || {
            calls.set(calls.get() + 1);
            reach.start();
            reach.acknowledge(calls.get());
            // A buffer takes everything at once, however little arrives.
            reach.advance(1000);
            if calls.get() < 9 {
                return Err(server_error());
            }
            Ok(())
        };
        let outcome = run(&RetryPolicy::default(), work, &reach, |_| ()).await;
        outcome.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn r1_does_not_go_on_for_ever_even_with_progress() {
        let calls = Cell::new(0u64);
        let reach = Reach::default();
        let work = async || {
            calls.set(calls.get() + 1);
            reach.advance(calls.get());
            Err::<(), _>(server_error())
        };
        run(&RetryPolicy::default(), work, &reach, |_| ())
            .await
            .unwrap_err();
        assert_eq!(calls.get(), 200);
    }

    #[tokio::test]
    async fn r1_final_errors_are_not_tried_again() {
        let calls = Cell::new(0);
        let work = async || {
            calls.set(calls.get() + 1);
            Err::<(), _>(Error::new(ErrorKind::Corrupt, "wrong bytes"))
        };
        run(&RetryPolicy::default(), work, &Reach::default(), |_| ())
            .await
            .unwrap_err();
        assert_eq!(calls.get(), 1);
    }

    #[test]
    fn waits_double_up_to_the_cap_and_heed_retry_after_up_to_a_limit() {
        let policy = RetryPolicy::default();
        let wait = |fruitless, error: &Error| {
            let attempts = Attempts {
                total: fruitless,
                fruitless,
                furthest: 0,
                acknowledged: 0,
            };
            RetryPolicy {
                tries: 99,
                ..policy
            }
            .decide(&attempts, error, 1.0)
            .unwrap()
            .as_secs()
        };
        assert_eq!(
            [1, 2, 3, 9].map(|n| wait(n, &server_error())),
            [1, 2, 4, 20]
        );
        let asks = |seconds| server_error().retry_after(Some(Duration::from_secs(seconds)));
        assert_eq!(wait(1, &asks(7)), 7);
        assert_eq!(wait(1, &asks(9999)), 120);
    }
}
