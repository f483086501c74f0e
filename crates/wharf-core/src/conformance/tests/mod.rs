//! The suite accepts the stores of this crate, and finds each breach of stores that are broken on
//! purpose.

mod broken;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use tempfile::TempDir;

use self::broken::{BrokenStores, FAULTS};
use super::run::CLAUSES;
use super::{Stores, check};
use crate::store::{Layout, Memory, Store};
use crate::sync::Lock;

struct Memories;

#[async_trait]
impl Stores for Memories {
    async fn empty(&self) -> Arc<dyn Store> {
        Arc::new(Memory::new())
    }
}

/// Layouts in directories that live as long as this.
#[derive(Default)]
struct Layouts(Lock<Vec<TempDir>>);

#[async_trait]
impl Stores for Layouts {
    async fn empty(&self) -> Arc<dyn Store> {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::create(directory.path()).unwrap();
        self.0.lock().push(directory);
        Arc::new(layout)
    }

    async fn reopened(&self, store: Arc<dyn Store>) -> Option<Arc<dyn Store>> {
        Some(Arc::new(Layout::open(store.place()?).unwrap()))
    }
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    let found = check(&Memories).await;
    assert!(found.breaches().is_empty(), "{found}");
    assert_eq!(found.unsupported(), ["lasting::is_there_after_reopening"]);
    assert_eq!(found.kept().len(), CLAUSES.len() - 1);
}

#[tokio::test]
async fn a_layout_keeps_the_contract() {
    let found = check(&Layouts::default()).await;
    assert!(found.breaches().is_empty(), "{found}");
    assert!(found.unsupported().is_empty(), "{found:?}");
}

#[tokio::test(start_paused = true)]
async fn each_fault_of_a_store_breaks_its_clause_and_each_clause_can_be_broken() {
    let mut broken = BTreeSet::new();
    for (fault, clause) in FAULTS {
        let found = check(&BrokenStores(*fault)).await;
        let mut breaches = found.breaches().iter().map(|(clause, _)| clause);
        let caught = breaches.any(|breached| breached == clause);
        assert!(caught, "{fault:?} does not break {clause}: {found}");
        broken.insert(*clause);
    }
    let all: BTreeSet<_> = CLAUSES.iter().map(|clause| clause.name).collect();
    assert_eq!(broken, all);
}
