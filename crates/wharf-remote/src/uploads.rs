//! Uploads under way to one host: concurrent pushes send a blob to a repository once (wire.md S1).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wharf_oci::{Digest, RepositoryName};

use wharf_core::Result;
use wharf_core::store::Outcome;

type Key = (RepositoryName, Digest);

/// Whether the blob arrived, behind the lock that its sender holds meanwhile.
type Slot = Arc<tokio::sync::Mutex<bool>>;

/// The uploads of one host. An entry lives as long as somebody sends the blob or waits for it.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    slots: Mutex<HashMap<Key, Slot>>,
}

impl Uploads {
    /// Does `upload`, unless another upload of the same blob succeeds while we wait for it.
    ///
    /// # Errors
    /// What `upload` says; the failure of another is not ours: then it is our turn.
    pub(super) async fn once(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        upload: impl Future<Output = Result<Outcome>>,
    ) -> Result<Outcome> {
        let entry = Entry::new(self, (name.clone(), digest.clone()));
        let mut arrived = entry.slot.lock().await;
        if *arrived {
            return Ok(Outcome::Existed);
        }
        let outcome = upload.await;
        *arrived = outcome.is_ok();
        outcome
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<Key, Slot>> {
        // No code that holds the lock can panic half-way through a change.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who sends or waits; the last one to go takes the entry away, also when it is cancelled.
struct Entry<'a> {
    uploads: &'a Uploads,
    key: Key,
    slot: Slot,
}

impl<'a> Entry<'a> {
    fn new(uploads: &'a Uploads, key: Key) -> Self {
        let slot = Arc::clone(uploads.slots().entry(key.clone()).or_default());
        Entry { uploads, key, slot }
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let mut slots = self.uploads.slots();
        // The map's own and ours: new ones are made only under the lock we hold.
        if Arc::strong_count(&self.slot) == 2 {
            slots.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_core::{Error, ErrorKind};

    fn key() -> Key {
        ("app".parse().unwrap(), Digest::of(b"blob"))
    }

    #[tokio::test]
    async fn s1_one_sends_and_the_others_find_it_there() {
        let (uploads, (name, digest)) = (Uploads::default(), key());
        let send = || {
            uploads.once(&name, &digest, async {
                tokio::task::yield_now().await;
                Ok(Outcome::Written)
            })
        };
        let outcomes = tokio::join!(send(), send(), send());
        assert_eq!(outcomes.0.unwrap(), Outcome::Written);
        assert_eq!(outcomes.1.unwrap(), Outcome::Existed);
        assert_eq!(outcomes.2.unwrap(), Outcome::Existed);
        assert!(uploads.slots().is_empty());
    }

    #[tokio::test]
    async fn s1_when_one_fails_or_is_cancelled_the_next_sends() {
        let (uploads, (name, digest)) = (Uploads::default(), key());
        let failing = uploads.once(&name, &digest, async {
            tokio::task::yield_now().await;
            Err(Error::new(ErrorKind::Server, "500"))
        });
        let cancelled = tokio::time::timeout(
            std::time::Duration::from_millis(1),
            uploads.once(&name, &digest, std::future::pending()),
        );
        let (failed, cancelled) = tokio::join!(failing, cancelled);
        assert!(failed.is_err() && cancelled.is_err());
        let sent = uploads.once(&name, &digest, async { Ok(Outcome::Written) });
        assert_eq!(sent.await.unwrap(), Outcome::Written);
        assert!(uploads.slots().is_empty());
    }
}
