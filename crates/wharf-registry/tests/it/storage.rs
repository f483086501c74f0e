//! What every storage must do, and what the storage on disk must do in addition.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use wharf::blob::{Blob, ByteStream};
use wharf::oci::{Algorithm, Descriptor, Digest, Manifest, MediaType, RepositoryName, Selector};
use wharf::{Error, ErrorKind};
use wharf_registry::storage::{Disk, Memory, Storage};
use wharf_testkit::{files_below, seeded_bytes};

static A: LazyLock<RepositoryName> = LazyLock::new(|| name("a"));

fn name(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

fn bytes_of(chunks: &[&[u8]]) -> ByteStream {
    let chunks: Vec<_> = chunks
        .iter()
        .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
        .collect();
    stream::iter(chunks).boxed()
}

fn cut_off(chunk: &[u8]) -> ByteStream {
    let end = stream::iter([Err(Error::new(ErrorKind::Interrupted, "cut"))]);
    bytes_of(&[chunk]).chain(end).boxed()
}

async fn read(storage: &dyn Storage, repository: &str, digest: &Digest) -> Result<Vec<u8>, Error> {
    let store = storage.repository(&name(repository)).await?;
    let size = store.blob_size(digest).await?;
    let descriptor = Descriptor::new(MediaType::OCTET_STREAM, digest.clone(), size);
    let chunks: Vec<Bytes> = store.blob(&descriptor).read().await?.try_collect().await?;
    Ok(chunks.concat())
}

/// The storages under test; the directory lives as long as they do.
async fn storages() -> (tempfile::TempDir, Vec<Arc<dyn Storage>>) {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::open(directory.path()).await.unwrap();
    (directory, vec![Arc::new(Memory::new()), Arc::new(disk)])
}

fn uploads(directory: &Path) -> Vec<String> {
    let below = files_below(directory).into_keys();
    let all = below.map(|path| path.display().to_string());
    all.filter(|path| path.contains("uploads/") || path.contains("temp/"))
        .collect()
}

#[tokio::test]
async fn a_session_becomes_a_blob_of_its_repository_only() {
    for storage in storages().await.1 {
        let digest = Digest::of(b"hello world");
        let id = storage.begin(&A).await.unwrap();
        let sent = storage.append(&id, &A, None, Algorithm::Sha256, bytes_of(&[b"hello"]));
        assert_eq!(sent.await.unwrap(), 5);
        let sent = storage.append(
            &id,
            &A,
            Some(5),
            Algorithm::Sha256,
            bytes_of(&[b" ", b"world"]),
        );
        assert_eq!(sent.await.unwrap(), 11);
        assert_eq!(storage.status(&id, &A).await.unwrap(), 11);
        let other = storage.status(&id, &name("b")).await.unwrap_err();
        assert_eq!(other.kind(), ErrorKind::NotFound);
        let made = storage.finish(&id, &A, &digest).await.unwrap();
        assert_eq!((made.digest, made.size), (digest.clone(), 11));
        assert_eq!(read(&*storage, "a", &digest).await.unwrap(), b"hello world");
        let other = read(&*storage, "b", &digest).await.unwrap_err();
        assert_eq!(other.kind(), ErrorKind::NotFound);
        let again = storage.status(&id, &A).await.unwrap_err();
        assert_eq!(again.kind(), ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn bytes_out_of_order_are_refused_and_change_nothing() {
    for storage in storages().await.1 {
        let id = storage.begin(&A).await.unwrap();
        for offset in [1, 7] {
            let sent = storage.append(&id, &A, Some(offset), Algorithm::Sha256, bytes_of(&[b"x"]));
            assert_eq!(sent.await.unwrap_err().kind(), ErrorKind::Invalid);
        }
        assert_eq!(storage.status(&id, &A).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn bytes_before_a_cut_stay_and_the_upload_goes_on() {
    for storage in storages().await.1 {
        let id = storage.begin(&A).await.unwrap();
        let sent = storage.append(&id, &A, None, Algorithm::Sha256, cut_off(b"hel"));
        assert_eq!(sent.await.unwrap_err().kind(), ErrorKind::Interrupted);
        assert_eq!(storage.status(&id, &A).await.unwrap(), 3);
        let sent = storage.append(&id, &A, Some(3), Algorithm::Sha256, bytes_of(&[b"lo"]));
        sent.await.unwrap();
        storage
            .finish(&id, &A, &Digest::of(b"hello"))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_wrong_digest_is_refused_and_nothing_is_left() {
    let (directory, storages) = storages().await;
    for storage in storages {
        let id = storage.begin(&A).await.unwrap();
        let sent = storage.append(&id, &A, None, Algorithm::Sha256, bytes_of(&[b"hello"]));
        sent.await.unwrap();
        let refused = storage
            .finish(&id, &A, &Digest::of(b"other"))
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Corrupt);
        let gone = storage.status(&id, &A).await.unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NotFound);
        assert!(!storage.exists(&A).await.unwrap());
    }
    assert_eq!(uploads(directory.path()), Vec::<String>::new());
}

#[tokio::test]
async fn sha512_is_as_good_whenever_it_is_named() {
    for storage in storages().await.1 {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let digest = Digest::of_with(Algorithm::Sha512, b"hello");
            let id = storage.begin(&A).await.unwrap();
            let sent = storage.append(&id, &A, None, algorithm, bytes_of(&[b"hello"]));
            sent.await.unwrap();
            storage.finish(&id, &A, &digest).await.unwrap();
            assert_eq!(read(&*storage, "a", &digest).await.unwrap(), b"hello");
        }
    }
}

#[tokio::test]
async fn a_mount_needs_the_blob_in_the_named_repository() {
    for storage in storages().await.1 {
        let store = storage.repository(&A).await.unwrap();
        let made = store
            .ingest(
                &MediaType::OCTET_STREAM,
                wharf::intake::once(bytes_of(&[b"hello"])),
            )
            .await
            .unwrap();
        let (a, b, c) = (name("a"), name("b"), name("c/d"));
        assert!(!storage.mount(&made.digest, Some(&c), &b).await.unwrap());
        assert!(storage.mount(&made.digest, Some(&a), &c).await.unwrap());
        assert_eq!(
            read(&*storage, "c/d", &made.digest).await.unwrap(),
            b"hello"
        );
        assert_eq!(
            storage.repositories(None, 9).await.unwrap(),
            [a.clone(), c.clone()]
        );
        assert_eq!(storage.repositories(Some(&a), 9).await.unwrap(), [c]);
        assert_eq!(storage.repositories(None, 1).await.unwrap(), [a]);
    }
}

#[tokio::test]
async fn manifests_keep_their_bytes_and_tags_move() {
    for storage in storages().await.1 {
        let store = storage.repository(&A).await.unwrap();
        let tag = "v1".parse().unwrap();
        for text in [
            r#"{"schemaVersion":2,"manifests":[]}"#,
            r#" {"schemaVersion":2,"manifests":[]}"#,
        ] {
            let manifest = Manifest::parse(None, text.into()).unwrap();
            store.put_manifest(&manifest, Some(&tag)).await.unwrap();
            let found = store.resolve(&Selector::Tag(tag.clone())).await.unwrap();
            assert_eq!(&found, manifest.descriptor());
            assert_eq!(store.manifest(&found).await.unwrap(), manifest);
            assert!(store.contains(&found).await.unwrap());
        }
        assert_eq!(store.tags(None, 9).await.unwrap(), [tag]);
    }
}

#[tokio::test]
async fn a_lying_blob_is_not_stored() {
    let (directory, storages) = storages().await;
    for storage in storages {
        let store = storage.repository(&A).await.unwrap();
        let promised = Descriptor::new(MediaType::OCTET_STREAM, Digest::of(b"promised"), 8);
        let blob = Blob::from_bytes(promised.clone(), Bytes::from_static(b"keptnot!"));
        assert_eq!(
            store.put_blob(&blob).await.unwrap_err().kind(),
            ErrorKind::Corrupt
        );
        assert!(!store.contains(&promised).await.unwrap());
    }
    assert_eq!(uploads(directory.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_session_outlives_its_process_and_may_end_in_another() {
    let directory = tempfile::tempdir().unwrap();
    let content = seeded_bytes(1, 3_000_000);
    let (head, tail) = content.split_at(1_500_000);
    let first = Disk::open(directory.path()).await.unwrap();
    let id = first.begin(&A).await.unwrap();
    let sent = first.append(&id, &A, None, Algorithm::Sha256, bytes_of(&[head]));
    sent.await.unwrap();
    let second = Disk::open(directory.path()).await.unwrap();
    assert_eq!(second.status(&id, &A).await.unwrap(), 1_500_000);
    let sent = second.append(
        &id,
        &A,
        Some(1_500_000),
        Algorithm::Sha256,
        bytes_of(&[tail]),
    );
    sent.await.unwrap();
    // The first one's hash state is out of date now.
    let digest = Digest::of(&content);
    first.finish(&id, &A, &digest).await.unwrap();
    assert_eq!(read(&second, "a", &digest).await.unwrap(), content);
}

#[tokio::test]
async fn two_requests_cannot_write_to_one_session() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::open(directory.path()).await.unwrap();
    let id = disk.begin(&A).await.unwrap();
    let (sender, receiver) = futures::channel::mpsc::unbounded::<Result<Bytes, Error>>();
    let chunk = || Ok(Bytes::from(vec![0; 1 << 20]));
    sender.unbounded_send(chunk()).unwrap();
    sender.unbounded_send(chunk()).unwrap();
    let (other, owner) = (disk.clone(), name("a"));
    let (slow_id, second) = (id.clone(), Disk::open(directory.path()).await.unwrap());
    let slow = tokio::spawn(async move {
        other
            .append(&slow_id, &owner, None, Algorithm::Sha256, receiver.boxed())
            .await
    });
    while disk.status(&id, &A).await.unwrap() == 0 {
        tokio::task::yield_now().await;
    }
    for handle in [&disk, &second] {
        let sent = handle.append(&id, &A, None, Algorithm::Sha256, bytes_of(&[b"x"]));
        assert_eq!(sent.await.unwrap_err().kind(), ErrorKind::Busy);
    }
    drop(sender);
    assert_eq!(slow.await.unwrap().unwrap(), 2 << 20);
}

#[tokio::test]
async fn an_abandoned_upload_leaves_a_session_that_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::open(directory.path()).await.unwrap();
    let id = disk.begin(&A).await.unwrap();
    let chunk = Bytes::from(vec![7; 1 << 20]);
    let chunks = stream::iter([Ok(chunk.clone()), Ok(chunk)])
        .chain(stream::pending())
        .boxed();
    let (other, other_id) = (disk.clone(), id.clone());
    let upload = tokio::spawn(async move {
        other
            .append(&other_id, &A, None, Algorithm::Sha256, chunks)
            .await
    });
    while disk.status(&id, &A).await.unwrap() < 2 << 20 {
        tokio::task::yield_now().await;
    }
    upload.abort();
    assert!(upload.await.unwrap_err().is_cancelled());
    // The last write may still hold the session for a moment.
    let digest = Digest::of(&vec![7; 2 << 20]);
    loop {
        match disk.finish(&id, &A, &digest).await {
            Err(error) if error.kind() == ErrorKind::Busy => tokio::task::yield_now().await,
            done => break assert_eq!(done.unwrap().digest, digest),
        }
    }
}

#[tokio::test]
async fn a_signed_schema_1_manifest_does_not_pass_for_its_payload() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::open(directory.path()).await.unwrap();
    let store = disk.repository(&A).await.unwrap();
    // {"formatLength":57,"formatTail":"fQ"}, where "fQ" is "}".
    let payload = r#"{"schemaVersion":1,"name":"a","tag":"b","fsLayers":[],"history":[],"architecture":"amd64"}"#;
    let length = payload.len() - 1;
    let protected = base64url(&format!(r#"{{"formatLength":{length},"formatTail":"fQ"}}"#));
    let head = payload.strip_suffix('}').unwrap();
    let signed = format!(r#"{head},"signatures":[{{"protected":"{protected}"}}]}}"#);
    let manifest =
        Manifest::parse(Some(&MediaType::DOCKER_MANIFEST_V1_SIGNED), signed.into()).unwrap();
    assert_eq!(manifest.digest(), &Digest::of(payload.as_bytes()));
    store.put_manifest(&manifest, None).await.unwrap();
    let found = store
        .resolve(&Selector::Digest(manifest.digest().clone()))
        .await
        .unwrap();
    assert_eq!(store.manifest(&found).await.unwrap(), manifest);
    assert!(store.contains(&found).await.unwrap());
    for (path, size) in files_below(&directory.path().join("blobs")) {
        let content = std::fs::read(directory.path().join("blobs").join(&path)).unwrap();
        assert_eq!(content.len() as u64, size);
        assert!(
            path.ends_with(Digest::of(&content).hex()),
            "{}",
            path.display()
        );
    }
}

fn base64url(text: &str) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut encoded = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits = chunk
            .iter()
            .fold(0u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for index in 0..=chunk.len() {
            let letter = LETTERS[(bits >> (18 - 6 * index)) as usize & 63];
            encoded.push(char::from(letter));
        }
    }
    encoded
}

#[tokio::test]
async fn what_is_a_day_old_is_swept_and_what_is_not_stays() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::open(directory.path()).await.unwrap();
    let (old, new) = (disk.begin(&A).await.unwrap(), disk.begin(&A).await.unwrap());
    let day = std::time::Duration::from_secs(24 * 60 * 60 + 60);
    let long_ago = std::time::SystemTime::now() - day;
    let leftover = directory.path().join("temp/leftover");
    std::fs::write(&leftover, "half").unwrap();
    let mut aged = vec![leftover.clone()];
    for entry in std::fs::read_dir(directory.path().join("uploads")).unwrap() {
        let path = entry.unwrap().path();
        if path.display().to_string().contains(old.as_str()) {
            aged.push(path);
        }
    }
    for path in &aged {
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(long_ago).unwrap();
    }
    let disk = Disk::open(directory.path()).await.unwrap();
    assert!(!leftover.exists());
    assert_eq!(
        disk.status(&old, &A).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(disk.status(&new, &A).await.unwrap(), 0);
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
