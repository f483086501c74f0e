//! Locks within one process: a mutex without poison, and one task at a time for each key.

use std::collections::HashMap;
use std::hash::Hash;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// A mutex that a panic does not poison.
///
/// A panic ends the task that holds the lock; the other tasks continue with the value as it is. So
/// complete each change under the lock before code that can panic.
#[derive(Debug, Default)]
pub struct Lock<T: ?Sized>(Mutex<T>);

impl<T> Lock<T> {
    /// A lock around `value`.
    pub const fn new(value: T) -> Self {
        Lock(Mutex::new(value))
    }

    /// The value, which no other task holds.
    pub fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized> Lock<T> {
    /// Waits for the lock. Never held across an await.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One task at a time for each key; the tasks of a key share a value.
///
/// The value starts as the default and lives as long as a task holds the key or waits for it.
#[derive(Debug)]
pub struct Keyed<K, V>(Lock<HashMap<K, Slot<V>>>);

type Slot<V> = Arc<tokio::sync::Mutex<V>>;

impl<K, V> Default for Keyed<K, V> {
    fn default() -> Self {
        Keyed(Lock::default())
    }
}

impl<K: Eq + Hash + Clone, V: Default> Keyed<K, V> {
    /// Waits until no other task holds `key`. Tasks get it in the order of their calls.
    pub async fn hold(&self, key: K) -> Held<'_, K, V> {
        let slot = Arc::clone(self.0.lock().entry(key.clone()).or_default());
        let claim = Claim {
            keyed: self,
            key,
            slot,
        };
        let value = Arc::clone(&claim.slot).lock_owned().await;
        Held { value, claim }
    }
}

/// A key that this task holds, with its value. Dropping it admits the next task.
#[derive(Debug)]
pub struct Held<'a, K: Eq + Hash, V> {
    // Fields are dropped in this order: the next task is admitted before the claim is released.
    value: OwnedMutexGuard<V>,
    claim: Claim<'a, K, V>,
}

impl<K: Eq + Hash, V> Held<'_, K, V> {
    /// Ends the round: tasks that already wait get this value, later ones start with the default.
    pub fn end_round(&self) {
        self.claim.leave();
    }
}

impl<K: Eq + Hash, V> Deref for Held<'_, K, V> {
    type Target = V;

    fn deref(&self) -> &V {
        &self.value
    }
}

impl<K: Eq + Hash, V> DerefMut for Held<'_, K, V> {
    fn deref_mut(&mut self) -> &mut V {
        &mut self.value
    }
}

/// A task that holds a key, or waits for it until it is cancelled.
#[derive(Debug)]
struct Claim<'a, K: Eq + Hash, V> {
    keyed: &'a Keyed<K, V>,
    key: K,
    slot: Slot<V>,
}

impl<K: Eq + Hash, V> Claim<'_, K, V> {
    /// Removes the slot from the map, unless it is removed already.
    fn leave(&self) {
        let mut slots = self.keyed.0.lock();
        if slots
            .get(&self.key)
            .is_some_and(|slot| Arc::ptr_eq(slot, &self.slot))
        {
            slots.remove(&self.key);
        }
    }
}

impl<K: Eq + Hash, V> Drop for Claim<'_, K, V> {
    fn drop(&mut self) {
        let mut slots = self.keyed.0.lock();
        let Some(slot) = slots.get(&self.key) else {
            return;
        };
        // The map's reference and ours: the count grows only under the lock of the map.
        if Arc::ptr_eq(slot, &self.slot) && Arc::strong_count(slot) == 2 {
            slots.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_panic_does_not_poison_a_lock() {
        let lock = Arc::new(Lock::new(1));
        let other = Arc::clone(&lock);
        let panicked = std::thread::spawn(move || {
            let mut value = other.lock();
            *value = 2;
            panic!("while the lock is held");
        });
        assert!(panicked.join().is_err());
        assert_eq!(*lock.lock(), 2);
    }

    fn is_idle<K, V>(keyed: &Keyed<K, V>) -> bool {
        keyed.0.lock().is_empty()
    }

    #[tokio::test]
    async fn a_task_holds_its_key_and_no_other() {
        let keyed: Keyed<i32, ()> = Keyed::default();
        let first = keyed.hold(1).await;
        let other = keyed.hold(2).await;
        let waiting = tokio::time::timeout(Duration::from_millis(10), keyed.hold(1));
        assert!(waiting.await.is_err());
        drop((first, other));
        drop(keyed.hold(1).await);
        assert!(is_idle(&keyed));
    }

    #[tokio::test]
    async fn a_value_lives_as_long_as_a_task_holds_its_key_or_waits_for_it() {
        let keyed: Keyed<&str, u32> = Keyed::default();
        let next = || async {
            let mut held = keyed.hold("key").await;
            tokio::task::yield_now().await;
            *held += 1;
            *held
        };
        assert_eq!(tokio::join!(next(), next(), next()), (1, 2, 3));
        assert_eq!(next().await, 1);
        assert!(is_idle(&keyed));
    }

    #[tokio::test]
    async fn after_the_end_of_a_round_a_task_does_not_share_its_value() {
        let keyed: Keyed<&str, u32> = Keyed::default();
        let mut first = keyed.hold("key").await;
        let mut waiting = Box::pin(keyed.hold("key"));
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        *first = 7;
        first.end_round();
        let later = keyed.hold("key").await;
        assert_eq!((*first, *later), (7, 0));
        drop(first);
        assert_eq!(*waiting.await, 7);
        drop(later);
        assert!(is_idle(&keyed));
    }

    #[tokio::test]
    async fn a_cancelled_task_lets_the_next_one_in() {
        let keyed: Keyed<&str, ()> = Keyed::default();
        let holding = async {
            let _held = keyed.hold("key").await;
            std::future::pending::<()>().await;
        };
        let cancelled = tokio::time::timeout(Duration::from_millis(1), holding);
        let (cancelled, held) = tokio::join!(cancelled, keyed.hold("key"));
        assert!(cancelled.is_err());
        drop(held);
        assert!(is_idle(&keyed));
    }
}
