//! What is known of the hash of a session outlives the request and the process that learned it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures::{StreamExt, stream};
use wharf::ErrorKind;
use wharf::blob::ByteStream;
use wharf::oci::{Algorithm, Digest, RepositoryName};
use wharf_registry::driver::{Disk, Driver, Memory, Session};
use wharf_registry::storage::Storage;
use wharf_testkit::{files_below, seeded_bytes};

use crate::common::stepped::Stepped;

const MIB: usize = 1 << 20;

fn name() -> RepositoryName {
    "a".parse().unwrap()
}

fn bytes_of(content: &[u8]) -> ByteStream {
    stream::iter([Ok(Bytes::copy_from_slice(content))]).boxed()
}

/// The storage of a process that has just started, and a count of what it reads.
fn started(driver: Arc<dyn Driver>) -> (Arc<Stepped>, Storage) {
    let stepped = Stepped::over(driver, 0);
    stepped.release();
    (stepped.clone(), Storage::new(stepped))
}

async fn open(directory: &Path) -> (Arc<Stepped>, Storage) {
    started(Arc::new(Disk::open(directory).await.unwrap()))
}

/// Sends the first part of a content in a process that ends after it.
async fn begun(directory: &Path, content: &[u8]) -> Session {
    let (_, storage) = open(directory).await;
    let session = storage.begin(&name()).await.unwrap();
    let sent = storage.append(&session, None, Algorithm::Sha256, bytes_of(content));
    sent.await.unwrap();
    session
}

fn file(directory: &Path, ending: &str) -> PathBuf {
    let uploads = directory.join("uploads");
    let mut files = files_below(&uploads).into_keys();
    let found = files.find(|path| path.extension().unwrap() == ending || ending.is_empty());
    uploads.join(found.unwrap())
}

#[tokio::test]
async fn another_process_reads_nothing_again() {
    let directory = tempfile::tempdir().unwrap();
    let content = seeded_bytes(1, 5 * MIB);
    let session = begun(directory.path(), &content[..3 * MIB]).await;
    let (stepped, storage) = open(directory.path()).await;
    let rest = bytes_of(&content[3 * MIB..]);
    let digest = Digest::of(&content);
    let put = storage.finish_with(&session, None, rest, &digest);
    put.await.unwrap();
    assert_eq!(stepped.sessions().read.load(Ordering::SeqCst), 0);
    assert!(files_below(&directory.path().join("uploads")).is_empty());
}

#[tokio::test]
async fn a_state_that_cannot_be_used_is_made_again() {
    let content = seeded_bytes(2, 5 * MIB);
    let broken: [fn(Vec<u8>) -> Vec<u8>; 4] = [
        |_| Vec::new(),
        |state| state[..state.len() / 2].to_vec(),
        |mut state| {
            state[60] ^= 1;
            state
        },
        |state| [b"9", state.as_slice()].concat(),
    ];
    for (number, broken) in broken.into_iter().enumerate() {
        let directory = tempfile::tempdir().unwrap();
        let session = begun(directory.path(), &content[..3 * MIB]).await;
        let state = file(directory.path(), "state");
        let bytes = std::fs::read(&state).unwrap();
        std::fs::write(&state, broken(bytes)).unwrap();
        let (stepped, storage) = open(directory.path()).await;
        let digest = Digest::of(&content);
        let rest = bytes_of(&content[3 * MIB..]);
        let put = storage.finish_with(&session, None, rest, &digest);
        put.await.unwrap();
        let read = stepped.sessions().read.load(Ordering::SeqCst);
        assert_eq!(read, 3 * MIB as u64, "{number}");
    }
}

#[tokio::test]
async fn bytes_that_are_lost_after_the_state_was_saved_are_found() {
    let directory = tempfile::tempdir().unwrap();
    let content = seeded_bytes(3, 3 * MIB);
    let session = begun(directory.path(), &content).await;
    let state = file(directory.path(), "state");
    let bytes = std::fs::File::options()
        .write(true)
        .open(state.with_extension(""))
        .unwrap();
    bytes.set_len(2 * MIB as u64).unwrap();
    let (_, storage) = open(directory.path()).await;
    assert_eq!(storage.settled(&session).await.unwrap(), 2 * MIB as u64);
    let refused = storage.finish(&session, &Digest::of(&content)).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(files_below(&directory.path().join("uploads")).is_empty());
}

#[tokio::test]
async fn a_short_upload_is_not_worth_a_state() {
    let directory = tempfile::tempdir().unwrap();
    let session = begun(directory.path(), b"hello").await;
    assert_eq!(files_below(&directory.path().join("uploads")).len(), 1);
    let (stepped, storage) = open(directory.path()).await;
    storage
        .finish(&session, &Digest::of(b"hello"))
        .await
        .unwrap();
    assert_eq!(stepped.sessions().read.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn a_long_request_saves_on_its_way() {
    let memory: Arc<dyn Driver> = Arc::new(Memory::new());
    let (stepped, storage) = started(Arc::clone(&memory));
    let session = storage.begin(&name()).await.unwrap();
    let chunk = Bytes::from(vec![7; MIB]);
    let chunks = stream::iter(vec![chunk; 66])
        .map(Ok)
        .chain(stream::pending());
    let (slow, open) = (storage.clone(), session.clone());
    let sending = tokio::spawn(async move {
        let sent = slow.append(&open, None, Algorithm::Sha256, chunks.boxed());
        sent.await
    });
    let whole = 66 * MIB as u64;
    while storage.status(&session).await.unwrap() < whole {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    // As a process that is killed ends.
    sending.abort();
    assert!(sending.await.unwrap_err().is_cancelled());
    assert_eq!(stepped.sessions().saved.load(Ordering::SeqCst), 1);
    let (stepped, storage) = started(memory);
    let digest = Digest::of(&vec![7; 66 * MIB]);
    storage.finish(&session, &digest).await.unwrap();
    let read = stepped.sessions().read.load(Ordering::SeqCst);
    assert_eq!(read, 2 * MIB as u64);
}
