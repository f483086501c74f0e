//! The rules of a registry, the same above every driver.

use std::path::Path;
use std::sync::LazyLock;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use wharf::blob::ByteStream;
use wharf::oci::{Algorithm, Digest, Manifest, MediaType, RepositoryName, Selector};
use wharf::{Error, ErrorKind};
use wharf_registry::driver::Session;
use wharf_registry::storage::{ReferrersQuery, Storage};
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

async fn read(storage: &Storage, repository: &str, digest: &Digest) -> Result<Vec<u8>, Error> {
    let repository = name(repository);
    let size = storage.blob_size(&repository, digest).await?;
    let stream = storage.read_blob(&repository, digest, 0, size).await?;
    let chunks: Vec<Bytes> = stream.try_collect().await?;
    Ok(chunks.concat())
}

/// A storage on each driver; the directory of the one on disk lives as long as they do.
async fn storages() -> (tempfile::TempDir, Vec<Storage>) {
    let directory = tempfile::tempdir().unwrap();
    let disk = Storage::on_disk(directory.path()).await.unwrap();
    (directory, vec![Storage::in_memory(), disk])
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
        let session = storage.begin(&A).await.unwrap();
        let sent = storage.append(&session, None, Algorithm::Sha256, bytes_of(&[b"hello"]));
        assert_eq!(sent.await.unwrap(), 5);
        let rest = bytes_of(&[b" ", b"world"]);
        let sent = storage.append(&session, Some(5), Algorithm::Sha256, rest);
        assert_eq!(sent.await.unwrap(), 11);
        assert_eq!(storage.status(&session).await.unwrap(), 11);
        let elsewhere = Session {
            repository: name("b"),
            id: session.id.clone(),
        };
        let other = storage.status(&elsewhere).await.unwrap_err();
        assert_eq!(other.kind(), ErrorKind::NotFound);
        let made = storage.finish(&session, &digest).await.unwrap();
        assert_eq!((made.digest, made.size), (digest.clone(), 11));
        assert_eq!(read(&storage, "a", &digest).await.unwrap(), b"hello world");
        let other = read(&storage, "b", &digest).await.unwrap_err();
        assert_eq!(other.kind(), ErrorKind::NotFound);
        let again = storage.status(&session).await.unwrap_err();
        assert_eq!(again.kind(), ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn bytes_out_of_order_are_refused_and_change_nothing() {
    for storage in storages().await.1 {
        let session = storage.begin(&A).await.unwrap();
        for offset in [1, 7] {
            let sent = storage.append(&session, Some(offset), Algorithm::Sha256, bytes_of(&[b"x"]));
            assert_eq!(sent.await.unwrap_err().kind(), ErrorKind::Invalid);
        }
        assert_eq!(storage.status(&session).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn bytes_before_a_cut_stay_and_the_upload_goes_on() {
    for storage in storages().await.1 {
        let session = storage.begin(&A).await.unwrap();
        let sent = storage.append(&session, None, Algorithm::Sha256, cut_off(b"hel"));
        assert_eq!(sent.await.unwrap_err().kind(), ErrorKind::Interrupted);
        assert_eq!(storage.status(&session).await.unwrap(), 3);
        let sent = storage.append(&session, Some(3), Algorithm::Sha256, bytes_of(&[b"lo"]));
        sent.await.unwrap();
        storage
            .finish(&session, &Digest::of(b"hello"))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_wrong_digest_is_refused_and_nothing_is_left() {
    let (directory, storages) = storages().await;
    for storage in storages {
        let session = storage.begin(&A).await.unwrap();
        let sent = storage.append(&session, None, Algorithm::Sha256, bytes_of(&[b"hello"]));
        sent.await.unwrap();
        let refused = storage
            .finish(&session, &Digest::of(b"other"))
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Corrupt);
        let gone = storage.status(&session).await.unwrap_err();
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
            let session = storage.begin(&A).await.unwrap();
            let sent = storage.append(&session, None, algorithm, bytes_of(&[b"hello"]));
            sent.await.unwrap();
            storage.finish(&session, &digest).await.unwrap();
            assert_eq!(read(&storage, "a", &digest).await.unwrap(), b"hello");
        }
    }
}

#[tokio::test]
async fn a_mount_needs_the_blob_in_the_named_repository() {
    for storage in storages().await.1 {
        let digest = Digest::of(b"hello");
        let put = storage.put_blob(&A, &digest, bytes_of(&[b"hello"]));
        put.await.unwrap();
        let (a, b, c) = (name("a"), name("b"), name("c/d"));
        assert!(!storage.mount(&digest, Some(&c), &b).await.unwrap());
        assert!(storage.mount(&digest, Some(&a), &c).await.unwrap());
        assert_eq!(read(&storage, "c/d", &digest).await.unwrap(), b"hello");
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
        let tags = ["v1".parse().unwrap()];
        for text in [
            r#"{"schemaVersion":2,"manifests":[]}"#,
            r#" {"schemaVersion":2,"manifests":[]}"#,
        ] {
            let manifest = Manifest::parse(None, text.into()).unwrap();
            let put = storage.put_manifest(&A, &manifest, &tags, None);
            put.await.unwrap();
            let at = Selector::Tag(tags[0].clone());
            let found = storage.resolve(&A, &at).await.unwrap();
            assert_eq!(&found, manifest.descriptor());
            let read = storage.manifest(&A, &found.digest).await.unwrap();
            assert_eq!(read, manifest);
            assert!(storage.contains(&A, &found).await.unwrap());
        }
        assert_eq!(storage.tags(&A, None, 9).await.unwrap(), tags);
    }
}

#[tokio::test]
async fn a_lying_blob_is_not_stored() {
    let (directory, storages) = storages().await;
    for storage in storages {
        let promised = Digest::of(b"promised");
        let put = storage.put_blob(&A, &promised, bytes_of(&[b"kept", b"not!"]));
        assert_eq!(put.await.unwrap_err().kind(), ErrorKind::Corrupt);
        assert!(!storage.has_blob(&A, &promised).await.unwrap());
        let put = storage.put_blob(&A, &promised, cut_off(b"promi"));
        assert_eq!(put.await.unwrap_err().kind(), ErrorKind::Interrupted);
    }
    assert_eq!(uploads(directory.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_session_outlives_its_process_and_may_end_in_another() {
    let directory = tempfile::tempdir().unwrap();
    let content = seeded_bytes(1, 3_000_000);
    let (head, tail) = content.split_at(1_500_000);
    let first = Storage::on_disk(directory.path()).await.unwrap();
    let session = first.begin(&A).await.unwrap();
    let sent = first.append(&session, None, Algorithm::Sha256, bytes_of(&[head]));
    sent.await.unwrap();
    let second = Storage::on_disk(directory.path()).await.unwrap();
    assert_eq!(second.status(&session).await.unwrap(), 1_500_000);
    let sent = second.append(
        &session,
        Some(1_500_000),
        Algorithm::Sha256,
        bytes_of(&[tail]),
    );
    sent.await.unwrap();
    // The first one's hash state is out of date now.
    let digest = Digest::of(&content);
    first.finish(&session, &digest).await.unwrap();
    assert_eq!(read(&second, "a", &digest).await.unwrap(), content);
}

#[tokio::test]
async fn two_requests_cannot_write_to_one_session() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Storage::on_disk(directory.path()).await.unwrap();
    let session = disk.begin(&A).await.unwrap();
    let (sender, receiver) = futures::channel::mpsc::unbounded::<Result<Bytes, Error>>();
    let chunk = || Ok(Bytes::from(vec![0; 1 << 20]));
    sender.unbounded_send(chunk()).unwrap();
    sender.unbounded_send(chunk()).unwrap();
    let other = disk.clone();
    let (slow_session, second) = (
        session.clone(),
        Storage::on_disk(directory.path()).await.unwrap(),
    );
    let slow = tokio::spawn(async move {
        other
            .append(&slow_session, None, Algorithm::Sha256, receiver.boxed())
            .await
    });
    while disk.status(&session).await.unwrap() == 0 {
        tokio::task::yield_now().await;
    }
    for handle in [&disk, &second] {
        let sent = handle.append(&session, None, Algorithm::Sha256, bytes_of(&[b"x"]));
        assert_eq!(sent.await.unwrap_err().kind(), ErrorKind::Busy);
    }
    drop(sender);
    assert_eq!(slow.await.unwrap().unwrap(), 2 << 20);
}

#[tokio::test]
async fn an_abandoned_upload_leaves_a_session_that_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Storage::on_disk(directory.path()).await.unwrap();
    let session = disk.begin(&A).await.unwrap();
    let chunk = Bytes::from(vec![7; 1 << 20]);
    let chunks = stream::iter([Ok(chunk.clone()), Ok(chunk)])
        .chain(stream::pending())
        .boxed();
    let (other, other_session) = (disk.clone(), session.clone());
    let upload = tokio::spawn(async move {
        other
            .append(&other_session, None, Algorithm::Sha256, chunks)
            .await
    });
    while disk.status(&session).await.unwrap() < 2 << 20 {
        tokio::task::yield_now().await;
    }
    upload.abort();
    assert!(upload.await.unwrap_err().is_cancelled());
    // The last write may still hold the session for a moment.
    let digest = Digest::of(&vec![7; 2 << 20]);
    loop {
        match disk.finish(&session, &digest).await {
            Err(error) if error.kind() == ErrorKind::Busy => tokio::task::yield_now().await,
            done => break assert_eq!(done.unwrap().digest, digest),
        }
    }
}

#[tokio::test]
async fn a_signed_schema_1_manifest_does_not_pass_for_its_payload() {
    let directory = tempfile::tempdir().unwrap();
    let storage = Storage::on_disk(directory.path()).await.unwrap();
    // {"formatLength":57,"formatTail":"fQ"}, where "fQ" is "}".
    let payload = r#"{"schemaVersion":1,"name":"a","tag":"b","fsLayers":[],"history":[],"architecture":"amd64"}"#;
    let length = payload.len() - 1;
    let protected = base64url(&format!(r#"{{"formatLength":{length},"formatTail":"fQ"}}"#));
    let head = payload.strip_suffix('}').unwrap();
    let signed = format!(r#"{head},"signatures":[{{"protected":"{protected}"}}]}}"#);
    let manifest =
        Manifest::parse(Some(&MediaType::DOCKER_MANIFEST_V1_SIGNED), signed.into()).unwrap();
    assert_eq!(manifest.digest(), &Digest::of(payload.as_bytes()));
    let put = storage.put_manifest(&A, &manifest, &[], None);
    put.await.unwrap();
    let at = Selector::Digest(manifest.digest().clone());
    let found = storage.resolve(&A, &at).await.unwrap();
    let read = storage.manifest(&A, &found.digest).await.unwrap();
    assert_eq!(read, manifest);
    assert!(storage.contains(&A, &found).await.unwrap());
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
async fn pages_of_referrers_together_are_the_whole_list_in_order() {
    for storage in storages().await.1 {
        let subject = Digest::of(b"subject");
        let mut expected = Vec::new();
        for number in 0..10 {
            let document = serde_json::json!({
                "schemaVersion": 2,
                "manifests": [],
                "subject": { "mediaType": "a/b", "digest": subject, "size": 7 },
                "annotations": { "number": number.to_string() },
            });
            let manifest = Manifest::parse(None, document.to_string().into()).unwrap();
            let put = storage.put_manifest(&A, &manifest, &[], None);
            put.await.unwrap();
            expected.push(manifest.referrer_descriptor());
        }
        expected.sort_by_key(|descriptor| descriptor.digest.clone());
        // The comma between two counts too.
        let one = serde_json::to_vec(&expected[0]).unwrap().len() as u64 + 1;
        for (most, pages) in [(0, 10), (one, 10), (3 * one, 4), (10 * one, 1)] {
            let mut query = ReferrersQuery {
                most,
                ..ReferrersQuery::all(subject.clone())
            };
            let (mut listed, mut count) = (Vec::new(), 0);
            loop {
                let page = storage.referrers(&A, &query).await.unwrap();
                listed.extend(page.descriptors);
                count += 1;
                if !page.more {
                    break;
                }
                query.after = listed.last().map(|last| last.digest.clone());
            }
            assert_eq!(listed, expected);
            assert_eq!(count, pages, "{most} bytes");
        }
    }
}
