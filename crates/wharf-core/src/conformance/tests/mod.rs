//! The suite accepts the stores of this crate, and finds each breach of stores that are broken on
//! purpose.

mod broken;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use tempfile::TempDir;

use self::broken::{BrokenStores, FAULTS};
use super::run::CLAUSES;
use super::{Stores, check};
use crate::store::archive::{DockerArchiveWriter, OciArchiveWriter, Output};
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

/// Archives that are being written, in a directory that lives as long as this.
struct Archives {
    directory: TempDir,
    kind: Kind,
    made: AtomicU32,
}

#[derive(Clone, Copy)]
enum Kind {
    Oci,
    Docker,
}

impl Archives {
    fn of(kind: Kind) -> Self {
        Archives {
            directory: tempfile::tempdir().unwrap(),
            kind,
            made: AtomicU32::new(0),
        }
    }
}

#[async_trait]
impl Stores for Archives {
    async fn empty(&self) -> Arc<dyn Store> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.path().join(number.to_string());
        let (output, spool) = (Output::Path(path), self.directory.path());
        match self.kind {
            Kind::Oci => Arc::new(OciArchiveWriter::create(output, spool).await.unwrap()),
            Kind::Docker => {
                let archive = DockerArchiveWriter::create(output, spool).await.unwrap();
                Arc::new(archive.repository("a.example/b"))
            }
        }
    }
}

/// What an archive does not offer: it is written once, from the beginning to the end.
const NOT_OF_ARCHIVES: [&str; 6] = [
    "deletion::of_a_tag_leaves_the_rest",
    "deletion::of_a_manifest_takes_its_tags",
    "deletion::of_nothing_says_so",
    "referring::is_listed_with_the_subject",
    "referring::is_empty_for_others",
    "lasting::is_there_after_reopening",
];

#[tokio::test]
async fn an_oci_archive_under_construction_keeps_the_contract() {
    let found = check(&Archives::of(Kind::Oci)).await;
    assert!(found.breaches().is_empty(), "{found}");
    assert_eq!(found.unsupported(), NOT_OF_ARCHIVES);
}

#[tokio::test]
async fn a_docker_archive_under_construction_keeps_the_contract_but_takes_no_index() {
    let found = check(&Archives::of(Kind::Docker)).await;
    let [("copies::go_in_and_out", why)] = found.breaches() else {
        panic!("{found}");
    };
    assert!(why.contains("holds images only"), "{why}");
    assert_eq!(found.unsupported(), NOT_OF_ARCHIVES);
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
