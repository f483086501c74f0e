//! What every driver must do, and what the one on disk must do besides.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::TryStreamExt;
use wharf::ErrorKind;
use wharf::blob::ByteStream;
use wharf::oci::{Digest, RepositoryName, Tag};
use wharf_registry::driver::{Applied, Disk, Driver, Folder, Key, Memory, Session, Version, When};
use wharf_testkit::files_below;

fn name(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

fn tag(text: &str) -> Key {
    Key::Tag(name("a"), text.parse().unwrap())
}

/// The drivers to hold to the contract; the directory lives as long as they do.
async fn drivers() -> (tempfile::TempDir, Vec<Arc<dyn Driver>>) {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::open(directory.path()).await.unwrap();
    (directory, vec![Arc::new(Memory::new()), Arc::new(disk)])
}

async fn put(driver: &dyn Driver, key: &Key, bytes: &str, when: When) -> Option<Version> {
    let bytes = Bytes::copy_from_slice(bytes.as_bytes());
    match driver.put(key, bytes, when).await.unwrap() {
        Applied::Done(version) => Some(version),
        Applied::Declined => None,
    }
}

async fn read(stream: ByteStream) -> Vec<u8> {
    stream.try_collect::<Vec<_>>().await.unwrap().concat()
}

/// One key of each kind.
fn keys() -> Vec<Key> {
    let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
    vec![
        Key::Content(one.clone()),
        Key::BlobLink(name("a"), one.clone()),
        Key::ManifestLink(name("a"), one.clone()),
        Key::ReferrerLink {
            repository: name("a"),
            subject: one,
            referrer: two,
        },
        tag("v1"),
    ]
}

#[tokio::test]
async fn an_object_is_written_only_where_its_condition_holds() {
    for driver in drivers().await.1 {
        for key in keys() {
            let driver = &*driver;
            let other = When::Is(Version::new("other"));
            assert_eq!(put(driver, &key, "0", other.clone()).await, None);
            assert_eq!(driver.get(&key).await.unwrap(), None);
            let first = put(driver, &key, "1", When::Absent).await.unwrap();
            assert_eq!(put(driver, &key, "2", When::Absent).await, None);
            assert_eq!(put(driver, &key, "2", other).await, None);
            let found = driver.get(&key).await.unwrap().unwrap();
            assert_eq!(found.bytes.as_ref(), b"1");
            assert_eq!(found.version, first);
            let second = put(driver, &key, "2", When::Is(first.clone())).await;
            let second = second.unwrap();
            assert_eq!(put(driver, &key, "3", When::Is(first)).await, None);
            assert_eq!(
                driver.get(&key).await.unwrap().unwrap().bytes.as_ref(),
                b"2"
            );
            assert_ne!(put(driver, &key, "3", When::Always).await, Some(second));
        }
    }
}

#[tokio::test]
async fn an_object_is_deleted_whole_or_only_in_a_version() {
    for driver in drivers().await.1 {
        for key in keys() {
            let old = put(&*driver, &key, "1", When::Always).await.unwrap();
            let new = put(&*driver, &key, "2", When::Always).await.unwrap();
            assert!(!driver.delete(&key, Some(&old)).await.unwrap());
            assert!(driver.delete(&key, Some(&new)).await.unwrap());
            assert!(!driver.delete(&key, None).await.unwrap());
            put(&*driver, &key, "1", When::Absent).await.unwrap();
            assert!(driver.delete(&key, None).await.unwrap());
            assert_eq!(driver.stat(&key).await.unwrap(), None);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_conditional_writes_at_a_time_one_wins() {
    let (directory, mut drivers) = drivers().await;
    let second = Disk::open(directory.path()).await.unwrap();
    drivers.push(Arc::new(second));
    for pair in [[0, 0], [1, 2]] {
        let key = tag("contended");
        let tasks: Vec<_> = (0..16)
            .map(|number| {
                let (driver, key) = (Arc::clone(&drivers[pair[number % 2]]), key.clone());
                tokio::spawn(
                    async move { put(&*driver, &key, &number.to_string(), When::Absent).await },
                )
            })
            .collect();
        let mut won = 0;
        for task in tasks {
            won += usize::from(task.await.unwrap().is_some());
        }
        assert_eq!(won, 1);
    }
}

#[tokio::test]
async fn a_part_of_an_object_is_streamed() {
    for driver in drivers().await.1 {
        let key = Key::Content(Digest::of(b"0123456789"));
        assert!(driver.read(&key, 0, 0).await.unwrap().is_none());
        put(&*driver, &key, "0123456789", When::Always).await;
        for (start, length, expected) in [(0, 10, "0123456789"), (3, 4, "3456"), (10, 0, "")] {
            let stream = driver.read(&key, start, length).await.unwrap().unwrap();
            assert_eq!(read(stream).await, expected.as_bytes());
        }
        assert_eq!(driver.stat(&key).await.unwrap().unwrap().size, 10);
    }
}

#[tokio::test]
async fn to_touch_is_to_make_young_again() {
    let (directory, drivers) = drivers().await;
    for driver in drivers {
        let key = Key::Content(Digest::of(b"x"));
        assert!(!driver.touch(&key).await.unwrap());
        put(&*driver, &key, "x", When::Always).await;
        let path = directory.path().join(key.path());
        if let Ok(file) = std::fs::File::options().append(true).open(path) {
            file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        }
        let old = driver.stat(&key).await.unwrap().unwrap().modified;
        assert!(driver.touch(&key).await.unwrap());
        let young = driver.stat(&key).await.unwrap().unwrap();
        assert!(young.modified >= old);
        assert!(young.modified.elapsed().unwrap_or_default() < Duration::from_secs(60));
        let listed = driver.list(&Folder::Pool, None, 9).await.unwrap();
        assert_eq!(listed[0].stat, young);
    }
}

#[tokio::test]
async fn folders_are_listed_in_order_a_page_at_a_time() {
    for driver in drivers().await.1 {
        let mut pool: Vec<_> = (0u8..20)
            .map(|byte| Key::Content(Digest::of(&[byte])))
            .collect();
        let mut tags: Vec<_> = ["v1", "v10", "v1.0", "V2", "a-b"].map(tag).to_vec();
        let mut names: Vec<_> = ["a", "a/0", "a-b", "a/b/c", "b"]
            .map(|text| Key::Repository(name(text)))
            .to_vec();
        let others = [Key::Tag(name("a/b/c"), Tag::latest())];
        for key in pool.iter().chain(&tags).chain(&names).chain(&others) {
            put(&*driver, key, "content", When::Always).await;
        }
        for keys in [&mut pool, &mut tags, &mut names] {
            keys.sort_unstable();
            let folder = keys[0].folder();
            for limit in 1..=keys.len() + 1 {
                let mut listed: Vec<Key> = Vec::new();
                loop {
                    let page = driver.list(&folder, listed.last(), limit).await.unwrap();
                    let is_last = page.len() < limit;
                    listed.extend(page.into_iter().map(|entry| entry.key));
                    if is_last {
                        break;
                    }
                }
                assert_eq!(listed, *keys, "{limit}");
            }
        }
        let folder = Folder::Referrers(name("a"), Digest::of(b"1"));
        assert_eq!(driver.list(&folder, None, 9).await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_session_grows_and_becomes_an_object() {
    for driver in drivers().await.1 {
        let session = Session::fresh(name("a"));
        assert!(driver.open(&session).await.unwrap().is_none());
        driver.begin(&session).await.unwrap();
        let mut open = driver.open(&session).await.unwrap().unwrap();
        assert_eq!((open.length(), open.state()), (0, None));
        let chunks = || vec![Bytes::from_static(b"hel"), Bytes::from_static(b"lo")];
        open.write(chunks()).await.unwrap();
        let busy = driver.open(&session).await.unwrap_err();
        assert_eq!(busy.kind(), ErrorKind::Busy);
        assert_eq!(driver.length(&session).await.unwrap(), Some(5));
        open.save(Bytes::from_static(b"noted")).await.unwrap();
        drop(open);
        let mut open = driver.open(&session).await.unwrap().unwrap();
        assert_eq!((open.length(), open.state()), (5, Some(&b"noted"[..])));
        assert_eq!(read(open.read(3).await.unwrap()).await, b"lo");
        open.write(chunks()).await.unwrap();
        open.truncate(4).await.unwrap();
        assert_eq!((open.length(), open.state()), (4, None));
        assert_eq!(driver.length(&session).await.unwrap(), Some(4));
        open.write(vec![Bytes::from_static(b"o")]).await.unwrap();
        drop(open);
        let mut open = driver.open(&session).await.unwrap().unwrap();
        assert_eq!((open.length(), open.state()), (5, None));
        open.write(chunks()).await.unwrap();
        let key = Key::Content(Digest::of(b"hellohello"));
        open.finish(&key).await.unwrap();
        assert_eq!(driver.length(&session).await.unwrap(), None);
        assert!(driver.open(&session).await.unwrap().is_none());
        let found = driver.get(&key).await.unwrap().unwrap();
        assert_eq!(found.bytes.as_ref(), b"hellohello");
    }
}

fn uploads(directory: &Path) -> usize {
    files_below(&directory.join("uploads")).len()
}

#[tokio::test]
async fn a_session_that_is_aborted_while_it_is_open_ends_there() {
    let (directory, drivers) = drivers().await;
    for driver in drivers {
        let session = Session::fresh(name("a"));
        driver.begin(&session).await.unwrap();
        let mut open = driver.open(&session).await.unwrap().unwrap();
        open.write(vec![Bytes::from_static(b"x")]).await.unwrap();
        open.save(Bytes::from_static(b"noted")).await.unwrap();
        assert!(driver.abort(&session).await.unwrap());
        assert!(!driver.abort(&session).await.unwrap());
        let gone = open.write(vec![Bytes::from_static(b"y")]).await;
        assert_eq!(gone.unwrap_err().kind(), ErrorKind::NotFound);
        open.save(Bytes::from_static(b"late")).await.unwrap();
        let key = Key::Content(Digest::of(b"x"));
        let gone = open.finish(&key).await.unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NotFound);
        assert_eq!(driver.stat(&key).await.unwrap(), None);
    }
    assert_eq!(uploads(directory.path()), 0);
}

#[tokio::test]
async fn what_is_a_day_old_is_swept_and_what_is_not_stays() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::open(directory.path()).await.unwrap();
    let (old, new) = (Session::fresh(name("a")), Session::fresh(name("a")));
    for session in [&old, &new] {
        disk.begin(session).await.unwrap();
        let mut open = disk.open(session).await.unwrap().unwrap();
        open.save(Bytes::from_static(b"noted")).await.unwrap();
    }
    let day = Duration::from_secs(24 * 60 * 60 + 60);
    let leftover = directory.path().join("temp/leftover");
    std::fs::write(&leftover, "half").unwrap();
    let mut aged = vec![leftover.clone()];
    for entry in std::fs::read_dir(directory.path().join("uploads")).unwrap() {
        let path = entry.unwrap().path();
        if path.display().to_string().contains(old.id.as_str()) {
            aged.push(path);
        }
    }
    assert_eq!(aged.len(), 3);
    for path in &aged {
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - day).unwrap();
    }
    let disk = Disk::open(directory.path()).await.unwrap();
    assert!(!leftover.exists());
    assert_eq!(disk.length(&old).await.unwrap(), None);
    assert_eq!(disk.length(&new).await.unwrap(), Some(0));
    assert_eq!(uploads(directory.path()), 2);
}

#[tokio::test]
async fn a_directory_of_something_else_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("thesis.tex"), "").unwrap();
    let refused = Disk::open(directory.path()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert_eq!(files_below(directory.path()).len(), 1);
}

#[tokio::test]
async fn a_later_format_is_not_touched() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("format"), "wharf-registry 3\n").unwrap();
    let refused = Disk::open(directory.path()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
}
