//! Decides when work is tried again. The unit is one blob or one manifest with its existence check,
//! outside a copy one request. No other level retries; a read of a source may go on within a try
//! (wire.md R1, R3).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use wharf_oci::Diagnostic;

use super::Retry;
use crate::store::{Beat, Effort, Pulse};
use crate::{Error, ErrorKind, Result};

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
    /// How long work may fail in a row, however often it is tried, while other work fails too and
    /// succeeds now and then, or the registry says that there are too many requests. `None`: a
    /// minute, or no time where fewer tries are allowed than by default. Each further try waits for
    /// at least half a second.
    pub endurance: Option<Duration>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            tries: TRIES,
            base: Duration::from_secs(1),
            cap: Duration::from_secs(20),
            patience: Duration::from_secs(120),
            endurance: None,
        }
    }
}

/// The default of [`RetryPolicy::tries`].
const TRIES: u32 = 5;

/// The default of [`RetryPolicy::endurance`].
const ENDURANCE: Duration = Duration::from_secs(60);

/// The longest wait of a further try is at least this,
const SLOW: Duration = Duration::from_secs(1);

/// and at most this where the registry takes some of the work: a try may succeed at any time.
const STEADY: Duration = Duration::from_secs(4);

/// A try that made progress resets the count, up to this many times the allowed tries in all. That
/// is enough for 10 GiB over a connection that breaks each 100 MB; an upload that breaks after each
/// megabyte still fails in the end.
pub(super) const PROGRESS_FACTOR: u32 = 40;

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
    /// When the first of the fruitless tries failed.
    since: Instant,
}

impl Attempts {
    pub(super) fn new() -> Self {
        Attempts {
            total: 0,
            fruitless: 0,
            furthest: 0,
            acknowledged: 0,
            since: Instant::now(),
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
        if self.fruitless == 1 {
            self.since = Instant::now();
        }
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
        self.run_with(&Pulse::default(), Beat::Read, work).await
    }

    /// The same for work of the kind `beat` with a store that has this `pulse`.
    ///
    /// # Errors
    /// As [`RetryPolicy::run`].
    pub async fn run_with<T, W>(
        &self,
        pulse: &Pulse,
        beat: Beat,
        work: impl FnMut() -> W,
    ) -> Result<T>
    where
        W: Future<Output = Result<T>>,
    {
        let beside = Beside {
            policy: self,
            pulse,
            beat,
        };
        run(beside, work, &Reach::default(), |_| ()).await
    }

    /// How long work may fail in a row that began with the first failure `since` then and ended
    /// with `error`; `None`: the tries are counted. A rate limit is no fault of the work, and
    /// neither is trouble of the registry as a whole.
    pub fn endures(&self, error: &Error, since: Instant, effort: &Effort<'_>) -> Option<Duration> {
        let usual = match self.tries < TRIES {
            true => Duration::ZERO,
            false => ENDURANCE,
        };
        let endurance = self.endurance.unwrap_or(usual);
        let left = endurance.checked_sub(since.elapsed())?;
        // Nothing answers at all: that is no passing trouble.
        let answers = error.kind() != ErrorKind::Unreachable;
        let shared = says_too_many(error) || (answers && effort.is_trouble_of_all());
        (shared && !left.is_zero()).then_some(left)
    }

    /// How long to wait after this many tries in a row without progress.
    /// `random` is in 0..1 and spreads the waits of many clients (full jitter).
    pub(super) fn wait_after(&self, tries: u32, random: f64) -> Duration {
        self.longest_after(tries).mul_f64(random)
    }

    fn longest_after(&self, tries: u32) -> Duration {
        let doublings = tries.saturating_sub(1).min(16);
        self.base.saturating_mul(1 << doublings).min(self.cap)
    }

    /// How long to wait before the next try, or `None` to give up. `more` is how long the work may
    /// fail further however often it was tried.
    fn decide(
        &self,
        attempts: &Attempts,
        error: &Error,
        more: Option<Duration>,
        random: f64,
    ) -> Option<Duration> {
        let exhausted = attempts.total >= self.tries.saturating_mul(PROGRESS_FACTOR);
        if !error.is_transient() || exhausted {
            return None;
        }
        let own = match (attempts.fruitless < self.tries, more) {
            (true, _) => self.wait_after(attempts.fruitless, random),
            // Slower, with less jitter; the last try is at the end.
            (false, Some(left)) => {
                let longest = self.longest_after(attempts.fruitless);
                let longest = match says_too_many(error) {
                    true => longest.max(SLOW),
                    false => longest.clamp(SLOW, STEADY),
                };
                longest.mul_f64((1.0 + random) / 2.0).min(left)
            }
            (false, None) => return None,
        };
        let asked = error.wait().unwrap_or_default().min(self.patience);
        Some(own.max(asked))
    }
}

/// Whether a registry says that it gets too many requests.
fn says_too_many(error: &Error) -> bool {
    let mut codes = error.diagnostic().into_iter().flat_map(Diagnostic::codes);
    error.status() == Some(429) || codes.any(|code| code == "TOOMANYREQUESTS")
}

/// A policy for work of one kind, beside other work with the same store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beside<'a> {
    pub(super) policy: &'a RetryPolicy,
    pub(super) pulse: &'a Pulse,
    pub(super) beat: Beat,
}

/// Tries `work` until it succeeds, fails for good or the policy gives up. `reach` holds the
/// progress of the last try; `notice` is called before each further try.
///
/// Not an `AsyncFnMut`: the compiler cannot see yet that its futures are `Send`
/// (rust-lang/rust#110338).
pub(super) async fn run<T, W>(
    beside: Beside<'_>,
    mut work: impl FnMut() -> W,
    reach: &Reach,
    notice: impl Fn(&Retry<'_>),
) -> Result<T>
where
    W: Future<Output = Result<T>>,
{
    let Beside {
        policy,
        pulse,
        beat,
    } = beside;
    let (mut attempts, effort) = (Attempts::new(), pulse.begin(beat));
    let mut is_moot = false;
    loop {
        let error = match work().await {
            Ok(value) => {
                effort.succeeded();
                return Ok(value);
            }
            Err(error) => error,
        };
        attempts.count(reach);
        effort.failed();
        let more = policy.endures(&error, attempts.since, &effort);
        let Some(wait) = policy.decide(&attempts, &error, more, fastrand::f64()) else {
            let error = error.explained().await;
            // Once more, without the request that failed.
            if error.is_moot() && !std::mem::replace(&mut is_moot, true) {
                continue;
            }
            // Below one try there may be steps that were tried several times.
            return Err(match attempts.total {
                1 => error,
                total => error.tries(total),
            });
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

    fn server_error() -> Error {
        Error::new(ErrorKind::Server, "500")
    }

    fn alone<'a>(policy: &'a RetryPolicy, pulse: &'a Pulse) -> Beside<'a> {
        let beat = Beat::Write;
        Beside {
            policy,
            pulse,
            beat,
        }
    }

    /// How often work was tried that fails for this long, and what became of it. `beside` is called
    /// before each try.
    async fn failing_for(
        seconds: u64,
        error: &Error,
        pulse: &Pulse,
        beside: impl Fn(),
    ) -> (u32, Result<()>) {
        let (calls, start) = (Cell::new(0), Instant::now());
        let work = async || {
            beside();
            calls.set(calls.get() + 1);
            match start.elapsed() < Duration::from_secs(seconds) {
                true => Err(error.clone()),
                false => Ok(()),
            }
        };
        let policy = RetryPolicy::default();
        let outcome = policy.run_with(pulse, Beat::Write, work).await;
        (calls.get(), outcome)
    }

    fn too_many() -> Error {
        Error::new(ErrorKind::Busy, "429").answer(429, None)
    }

    #[tokio::test(start_paused = true)]
    async fn fault_b3_a_rate_limit_is_waited_for_by_time() {
        let pulse = Pulse::default();
        for _ in 0..20 {
            let (calls, outcome) = failing_for(50, &too_many(), &pulse, || ()).await;
            outcome.unwrap();
            assert!((6..40).contains(&calls), "{calls}");
        }
        let start = Instant::now();
        let (_, outcome) = failing_for(600, &too_many(), &pulse, || ()).await;
        outcome.unwrap_err();
        // A wait below the first failure, and the minute.
        let passed = start.elapsed().as_secs();
        assert!((60..62).contains(&passed), "{passed}");
    }

    #[tokio::test(start_paused = true)]
    async fn fault_b3_trouble_of_the_registry_is_waited_for_while_other_work_succeeds() {
        let pulse = Pulse::default();
        let others = |beat| {
            pulse.begin(beat).failed();
            pulse.begin(beat).succeeded();
        };
        let written = || others(Beat::Write);
        let (_, outcome) = failing_for(50, &server_error(), &pulse, written).await;
        outcome.unwrap();
        let (_, outcome) = failing_for(600, &server_error(), &pulse, written).await;
        outcome.unwrap_err();
        // Reading has trouble, which says nothing of writing.
        tokio::time::advance(Duration::from_secs(60)).await;
        let read = || others(Beat::Read);
        let (calls, outcome) = failing_for(600, &server_error(), &pulse, read).await;
        assert_eq!((calls, outcome.is_err()), (5, true));
        // No other work fails: the trouble is that of this work.
        let pulse = Pulse::default();
        let fine = || pulse.begin(Beat::Write).succeeded();
        let (calls, outcome) = failing_for(600, &server_error(), &pulse, fine).await;
        assert_eq!((calls, outcome.is_err()), (5, true));
    }

    #[tokio::test(start_paused = true)]
    async fn fault_b3_without_a_wait_the_registry_is_not_stormed() {
        let calls = Cell::new(0);
        let work = async || {
            calls.set(calls.get() + 1);
            Err::<(), _>(too_many())
        };
        let policy = RetryPolicy {
            base: Duration::ZERO,
            ..RetryPolicy::default()
        };
        policy.run(work).await.unwrap_err();
        assert!((60..=5 + 120).contains(&calls.get()), "{}", calls.get());
    }

    #[tokio::test(start_paused = true)]
    async fn fault_b3_fewer_tries_than_usual_mean_no_patience_unless_it_is_given() {
        for (tries, endurance, expected) in [
            (2, None, 2..3),
            (1, None, 1..2),
            (5, Some(Duration::ZERO), 5..6),
            (2, Some(ENDURANCE), 6..70),
        ] {
            let calls = Cell::new(0);
            let work = async || {
                calls.set(calls.get() + 1);
                Err::<(), _>(too_many())
            };
            let policy = RetryPolicy {
                tries,
                endurance,
                ..RetryPolicy::default()
            };
            policy.run(work).await.unwrap_err();
            assert!(expected.contains(&calls.get()), "{tries}: {}", calls.get());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn r1_gives_up_after_five_fruitless_tries_and_says_so() {
        let calls = Cell::new(0);
        let work = async || {
            calls.set(calls.get() + 1);
            Err::<(), _>(server_error())
        };
        let error = RetryPolicy::default().run(work).await.unwrap_err();
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
        let outcome = run(
            alone(&RetryPolicy::default(), &Pulse::default()),
            work,
            &reach,
            |_| (),
        )
        .await;
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
        let outcome = run(
            alone(&RetryPolicy::default(), &Pulse::default()),
            work,
            &reach,
            |_| (),
        )
        .await;
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
        let outcome = run(
            alone(&RetryPolicy::default(), &Pulse::default()),
            work,
            &reach,
            |_| (),
        )
        .await;
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
        run(
            alone(&RetryPolicy::default(), &Pulse::default()),
            work,
            &reach,
            |_| (),
        )
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
        RetryPolicy::default().run(work).await.unwrap_err();
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
                since: Instant::now(),
            };
            RetryPolicy {
                tries: 99,
                ..policy
            }
            .decide(&attempts, error, None, 1.0)
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
