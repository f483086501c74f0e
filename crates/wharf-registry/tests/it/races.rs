//! Changes of manifests and tags that die half-way, or happen at the same time.

use std::sync::Arc;

use serde_json::json;
use tokio::task::JoinHandle;
use wharf::ErrorKind;
use wharf::oci::{Digest, Manifest, RepositoryName, Selector, Tag};
use wharf_registry::driver::{Disk, Driver, Memory};
use wharf_registry::storage::{Condition, EntityTags, ReferrersQuery, Storage, Written};

use crate::common::stepped::Stepped;

fn name() -> RepositoryName {
    "a".parse().unwrap()
}

fn tags(texts: &[&str]) -> Vec<Tag> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn subject() -> Digest {
    Digest::of(b"subject")
}

/// A manifest with a subject.
fn manifest(note: &str) -> Manifest {
    let document = json!({
        "schemaVersion": 2,
        "manifests": [],
        "subject": { "mediaType": "a/b", "digest": subject(), "size": 7 },
        "annotations": { "note": note },
    });
    Manifest::parse(None, document.to_string().into()).unwrap()
}

async fn put(storage: &Storage, manifest: &Manifest, texts: &[&str]) {
    let (name, tags) = (name(), tags(texts));
    let put = storage.put_manifest(&name, manifest, &tags, None);
    assert_eq!(put.await.unwrap(), Written::Done);
}

/// Puts a manifest in a task of its own, that takes so many steps.
fn putting(
    driver: &Arc<dyn Driver>,
    steps: usize,
    texts: &'static [&str],
) -> (Arc<Stepped>, JoinHandle<()>) {
    let stepped = Stepped::over(Arc::clone(driver), steps);
    let storage = Storage::new(stepped.clone());
    let task = tokio::spawn(async move { put(&storage, &manifest("new"), texts).await });
    (stepped, task)
}

/// Deletes the same manifest likewise.
fn deleting(driver: &Arc<dyn Driver>, steps: usize) -> (Arc<Stepped>, JoinHandle<()>) {
    let stepped = Stepped::over(Arc::clone(driver), steps);
    let storage = Storage::new(stepped.clone());
    let at = Selector::Digest(manifest("new").digest().clone());
    let task = tokio::spawn(async move { storage.delete(&name(), &at).await.unwrap() });
    (stepped, task)
}

/// What a client sees of the manifest "new".
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    there: bool,
    listed: bool,
    tags: Vec<Tag>,
}

async fn look(storage: &Storage) -> Seen {
    let (name, digest) = (name(), manifest("new").digest().clone());
    let there = storage.manifest(&name, &digest).await.is_ok();
    let query = ReferrersQuery::all(subject());
    let page = storage.referrers(&name, &query).await.unwrap();
    let listed = page.descriptors.iter().any(|found| found.digest == digest);
    let mut tags = Vec::new();
    if storage.exists(&name).await.unwrap() {
        for tag in storage.tags(&name, None, 9).await.unwrap() {
            // A tag that is listed can be resolved.
            let at = Selector::Tag(tag.clone());
            let found = storage.resolve(&name, &at).await.unwrap();
            tags.extend((found.digest == digest).then_some(tag));
        }
    }
    Seen {
        there,
        listed,
        tags,
    }
}

/// A driver of each kind, empty; the directory lives as long as the one on disk.
async fn drivers() -> (tempfile::TempDir, [Arc<dyn Driver>; 2]) {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::open(directory.path()).await.unwrap();
    (directory, [Arc::new(Memory::new()), Arc::new(disk)])
}

#[tokio::test]
async fn links_are_written_from_the_referrer_to_the_tags_and_removed_the_other_way() {
    for driver in drivers().await.1 {
        let (stepped, task) = putting(&driver, 0, &["v1", "v2"]);
        stepped.release();
        task.await.unwrap();
        let expected = [
            "put Content",
            "put Repository",
            "put ReferrerLink",
            "put ManifestLink",
            "put Tag",
            "put Tag",
        ];
        assert_eq!(stepped.writes(), expected);
        let (stepped, task) = deleting(&driver, 0);
        stepped.release();
        task.await.unwrap();
        let expected = [
            "put ManifestLink",
            "delete Tag",
            "delete Tag",
            "delete ManifestLink",
            "delete ReferrerLink",
        ];
        assert_eq!(stepped.writes(), expected);
    }
}

#[tokio::test]
async fn a_put_that_dies_anywhere_shows_nothing_half_and_can_be_made_again() {
    for round in 0..2 {
        for steps in 0.. {
            let (_directory, drivers) = drivers().await;
            let storage = Storage::new(Arc::clone(&drivers[round]));
            put(&storage, &manifest("old"), &["v1"]).await;
            let (stepped, task) = putting(&drivers[round], steps, &["v1", "v2"]);
            let ended = stepped.run(&task).await;
            task.abort();
            let seen = look(&storage).await;
            assert_eq!(seen.there, seen.listed, "{steps}: {seen:?}");
            assert!(seen.there || seen.tags.is_empty(), "{steps}: {seen:?}");
            put(&storage, &manifest("new"), &["v1", "v2"]).await;
            let whole = Seen {
                there: true,
                listed: true,
                tags: tags(&["v1", "v2"]),
            };
            assert_eq!(look(&storage).await, whole, "{steps}");
            if ended {
                break;
            }
        }
    }
}

const GONE: Seen = Seen {
    there: false,
    listed: false,
    tags: Vec::new(),
};

#[tokio::test]
async fn a_deletion_that_dies_anywhere_shows_nothing_half_and_can_be_made_again() {
    for round in 0..2 {
        for steps in 0.. {
            let (_directory, drivers) = drivers().await;
            let storage = Storage::new(Arc::clone(&drivers[round]));
            put(&storage, &manifest("old"), &["v0"]).await;
            put(&storage, &manifest("new"), &["v1", "v2"]).await;
            let (stepped, task) = deleting(&drivers[round], steps);
            let ended = stepped.run(&task).await;
            task.abort();
            let seen = look(&storage).await;
            assert_eq!(seen.there, seen.listed, "{steps}: {seen:?}");
            let at = Selector::Digest(manifest("new").digest().clone());
            match storage.delete(&name(), &at).await {
                Ok(()) => assert!(seen.there, "{steps}"),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::NotFound);
                    assert!(!seen.there, "{steps}");
                }
            }
            assert_eq!(look(&storage).await, GONE, "{steps}");
            let at = Selector::Tag("v0".parse().unwrap());
            storage.resolve(&name(), &at).await.unwrap();
            if ended {
                break;
            }
        }
    }
}

/// More steps than a put or a deletion has here.
const STEPS: usize = 20;

/// Whether one of two puts, under the tags v3 and v4, and a deletion can have come after another.
fn is_in_some_order(seen: &Seen) -> bool {
    let put_last = [&["v3"][..], &["v4"], &["v3", "v4"]];
    let put_last = put_last.iter().any(|last| seen.tags == tags(last));
    *seen == GONE || (seen.there && seen.listed && put_last)
}

#[tokio::test]
async fn puts_and_a_deletion_at_the_same_time_end_as_one_after_the_other() {
    for first in 0..STEPS {
        for second in 0..STEPS {
            for order in 0..4 {
                let driver: Arc<dyn Driver> = Arc::new(Memory::new());
                let storage = Storage::new(Arc::clone(&driver));
                put(&storage, &manifest("new"), &["v1"]).await;
                // Each has taken some of its steps when another put comes, from start to end.
                let put_of = || putting(&driver, first, &["v3"]);
                let deletion_of = || deleting(&driver, second);
                let (one, other) = if order % 2 == 0 {
                    let one = put_of();
                    one.0.run(&one.1).await;
                    (one, deletion_of())
                } else {
                    let one = deletion_of();
                    one.0.run(&one.1).await;
                    (one, put_of())
                };
                other.0.run(&other.1).await;
                put(&storage, &manifest("new"), &["v4"]).await;
                let rest = if order < 2 {
                    [one, other]
                } else {
                    [other, one]
                };
                for (stepped, task) in rest {
                    stepped.release();
                    task.await.unwrap();
                }
                let seen = look(&storage).await;
                let case = format!("{first}, {second}, {order}: {seen:?}");
                assert!(is_in_some_order(&seen), "{case}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn puts_and_deletions_by_two_processes_leave_nothing_half() {
    let directory = tempfile::tempdir().unwrap();
    let mut storages = Vec::new();
    for _ in 0..2 {
        storages.push(Storage::on_disk(directory.path()).await.unwrap());
    }
    for _ in 0..10 {
        let changes = (0..8).map(|number| {
            let storage = storages[number % 2].clone();
            tokio::spawn(async move {
                if number % 4 < 2 {
                    return put(&storage, &manifest("new"), &["v3", "v4"]).await;
                }
                let at = Selector::Digest(manifest("new").digest().clone());
                if let Err(error) = storage.delete(&name(), &at).await {
                    assert_eq!(error.kind(), ErrorKind::NotFound);
                }
            })
        });
        for change in futures::future::join_all(changes).await {
            change.unwrap();
        }
        let seen = look(&storages[0]).await;
        let whole = seen.there && seen.listed && seen.tags == tags(&["v3", "v4"]);
        assert!(whole || seen == GONE, "{seen:?}");
    }
}

#[tokio::test]
async fn a_condition_is_decided_with_the_write_whatever_happened_since_it_was_looked_at() {
    for round in 0..2 {
        for steps in 0.. {
            let (_directory, drivers) = drivers().await;
            let driver = &drivers[round];
            let storage = Storage::new(Arc::clone(driver));
            put(&storage, &manifest("old"), &["v1"]).await;
            let condition = Condition {
                at: Selector::Tag("v1".parse().unwrap()),
                matches: Some(EntityTags::These(vec![manifest("old").digest().clone()])),
                differs: None,
            };
            let stepped = Stepped::over(Arc::clone(driver), steps);
            let slow = Storage::new(stepped.clone());
            let task = tokio::spawn(async move {
                let (name, manifest, tags) = (name(), manifest("new"), tags(&["v1"]));
                let put = slow.put_manifest(&name, &manifest, &tags, Some(&condition));
                put.await.unwrap()
            });
            let ended = stepped.run(&task).await;
            let moved = look(&storage).await.tags == tags(&["v1"]);
            put(&storage, &manifest("other"), &["v1"]).await;
            stepped.release();
            let expected = if moved {
                Written::Done
            } else {
                Written::Declined
            };
            assert_eq!(task.await.unwrap(), expected, "{steps}");
            let at = Selector::Tag("v1".parse().unwrap());
            let found = storage.resolve(&name(), &at).await.unwrap();
            assert_eq!(&found.digest, manifest("other").digest(), "{steps}");
            if ended {
                break;
            }
        }
    }
}
