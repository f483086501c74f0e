//! How the work of a store goes: tells trouble of the store from trouble of one piece of work.

use std::time::Duration;

use tokio::time::Instant;

use crate::sync::Lock;

/// The kind of a piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// It only reads.
    Read,
    /// It writes.
    Write,
}

/// The successes and failures of work. Shared by all that work with one store, or with one registry.
#[derive(Debug, Default)]
pub struct Pulse(Lock<State>);

#[derive(Debug, Default)]
struct State {
    reads: Recent,
    writes: Recent,
    efforts: u64,
}

/// What happened lately to work of one kind.
#[derive(Debug, Default)]
struct Recent {
    success: Option<Instant>,
    /// Failed tries since then.
    failures: u32,
    /// The efforts that failed last, and when: at most two, the newest last.
    failed: Vec<(u64, Instant)>,
}

/// What is longer ago does not count.
const RECENT: Duration = Duration::from_secs(30);

/// A store where this many tries failed in a row is down.
const DOWN: u32 = 40;

/// One piece of work, which may be tried several times.
#[derive(Debug)]
pub struct Effort<'a> {
    pulse: &'a Pulse,
    beat: Beat,
    number: u64,
}

impl Pulse {
    /// Begins a piece of work.
    pub fn begin(&self, beat: Beat) -> Effort<'_> {
        let mut state = self.0.lock();
        state.efforts += 1;
        Effort {
            pulse: self,
            beat,
            number: state.efforts,
        }
    }
}

impl Effort<'_> {
    /// Records that it has succeeded.
    pub fn succeeded(&self) {
        self.recent(|recent| {
            recent.success = Some(Instant::now());
            recent.failures = 0;
        });
    }

    /// Records that a try of it has failed.
    pub fn failed(&self) {
        self.recent(|recent| {
            recent.failures = recent.failures.saturating_add(1);
            recent.failed.retain(|(number, _)| *number != self.number);
            recent.failed.push((self.number, Instant::now()));
            if recent.failed.len() > 2 {
                recent.failed.remove(0);
            }
        });
    }

    /// Whether the store is in trouble, and not just this work: other work of this kind fails too,
    /// and succeeds now and then.
    pub fn is_trouble_of_all(&self) -> bool {
        self.recent(|recent| {
            let lately = |then: Instant| then.elapsed() < RECENT;
            let others = recent.failed.iter();
            let mut others = others.filter(|(number, _)| *number != self.number);
            recent.failures < DOWN
                && recent.success.is_some_and(lately)
                && others.any(|(_, then)| lately(*then))
        })
    }

    fn recent<T>(&self, work: impl FnOnce(&mut Recent) -> T) -> T {
        let mut state = self.pulse.0.lock();
        work(match self.beat {
            Beat::Read => &mut state.reads,
            Beat::Write => &mut state.writes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn fault_b3_a_store_is_in_trouble_while_some_work_fails_and_some_succeeds() {
        let pulse = Pulse::default();
        let [this, other, third] = [(); 3].map(|()| pulse.begin(Beat::Write));
        this.failed();
        assert!(!this.is_trouble_of_all(), "alone");
        other.failed();
        assert!(!this.is_trouble_of_all(), "nothing works");
        third.succeeded();
        assert!(this.is_trouble_of_all());
        assert!(!pulse.begin(Beat::Read).is_trouble_of_all(), "another kind");
        for _ in 0..DOWN {
            this.failed();
        }
        assert!(!this.is_trouble_of_all(), "down");
        third.succeeded();
        assert!(this.is_trouble_of_all());
        tokio::time::advance(RECENT).await;
        assert!(!this.is_trouble_of_all(), "long ago");
        third.succeeded();
        this.failed();
        assert!(!this.is_trouble_of_all(), "only this fails now");
    }
}
