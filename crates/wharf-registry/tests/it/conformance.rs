//! A repository of this registry, as the library's client has it, keeps the contract of stores.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use wharf::conformance::{Stores, check};
use wharf::remote::Client;
use wharf::store::Store;
use wharf_registry::storage::Storage;

use crate::common::{Running, disk};

/// Repositories of one registry, each under a name of its own.
struct Repositories {
    registry: Running,
    made: AtomicU32,
}

impl Repositories {
    async fn of(storage: Storage) -> Self {
        Repositories {
            registry: Running::over(storage).await,
            made: AtomicU32::new(0),
        }
    }

    /// A client of its own, which knows nothing of what another one saw, and tries once: the
    /// contract is that of a store without retries.
    fn open(place: &str) -> Arc<dyn Store> {
        let client = Client::builder().build().unwrap().single_tries();
        Arc::new(client.repository(&place.parse().unwrap()))
    }
}

#[async_trait::async_trait]
impl Stores for Repositories {
    async fn empty(&self) -> Arc<dyn Store> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        Self::open(&format!("{}/app-{number}", self.registry.address))
    }

    async fn reopened(&self, store: Arc<dyn Store>) -> Option<Arc<dyn Store>> {
        Some(Self::open(&store.place()?))
    }
}

#[tokio::test]
async fn a_repository_on_disk_keeps_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    let found = check(&Repositories::of(disk(directory.path()).await).await).await;
    assert!(found.breaches().is_empty(), "{found}");
    assert!(found.unsupported().is_empty(), "{found:?}");
}

#[tokio::test]
async fn a_repository_in_memory_keeps_the_contract() {
    let found = check(&Repositories::of(Storage::in_memory()).await).await;
    assert!(found.breaches().is_empty(), "{found}");
    assert!(found.unsupported().is_empty(), "{found:?}");
}
