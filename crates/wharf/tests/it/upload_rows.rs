//! wire.md, sections 4 and 5: mounts and sending, against a scripted registry.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use wharf::ErrorKind;
use wharf::blob::Blob;
use wharf::copy::{CopyOptions, Root, Summary, copy, copy_to_all};
use wharf::intake;
use wharf::oci::{Descriptor, Digest, MediaType};
use wharf::remote::{Client, RemoteRepository, Timeouts};
use wharf::store::{Memory, Outcome, Source, Store};
use wharf_testkit::{Answer, FaultServer, RecordedRequest, Script, push_registry, seeded_bytes};

use crate::support::{
    BLOB, SESSION, TAKES, UPLOADS, destinations, image, lines, options, repository,
};

const MIB: u64 = 1 << 20;

fn ranges(server: &FaultServer) -> Vec<String> {
    let requests = server.requests();
    let ranges = requests.iter().filter_map(|r| r.header("content-range"));
    ranges.map(str::to_owned).collect()
}

async fn push(server: &FaultServer, source: &dyn Source, root: &Root) -> wharf::Result<Summary> {
    let (options, _) = options();
    let store = repository(server.address(), "app");
    copy(source, &store, std::slice::from_ref(root), &options).await
}

fn chunking(server: &FaultServer, size: u64) -> RemoteRepository {
    let client = Client::builder().chunk_size(NonZeroU64::new(size).unwrap());
    let name = format!("{}/app", server.address());
    let client = client.build().unwrap();
    client.repository(&name.parse().unwrap())
}

/// A session that counts its bytes and accepts them only in order, like most.
fn counting(state: &Arc<AtomicU64>) -> impl Fn(&RecordedRequest) -> Answer + Send + Sync + 'static {
    let state = Arc::clone(state);
    move |request| {
        let there = state.load(Ordering::SeqCst);
        let start = request.header("content-range").and_then(|range| {
            let (start, _) = range.split_once('-')?;
            start.parse::<u64>().ok()
        });
        let range = |length: u64| format!("0-{}", length.saturating_sub(1));
        if start.is_some_and(|start| start != there) {
            return Answer::status(416)
                .header("Location", "{path}")
                .header("Range", &range(there));
        }
        let length = there + request.body_len;
        state.store(length, Ordering::SeqCst);
        Answer::status(202)
            .header("Location", "{path}")
            .header("Range", &range(length))
    }
}

fn chunked_registry(state: &Arc<AtomicU64>) -> Script {
    push_registry().on("PATCH", SESSION, [Answer::from_fn(counting(state))])
}

/// A blob of another repository, or registry, with bytes that must not be read.
fn elsewhere(origin: &str) -> Blob {
    let content = seeded_bytes(7, 1000);
    let descriptor = Descriptor::new(
        MediaType::OCI_LAYER_GZIP,
        Digest::of(&content),
        content.len() as u64,
    );
    Blob::from_bytes(descriptor, content.into()).with_origin(origin.parse().unwrap())
}

#[tokio::test]
async fn m1_a_mount_names_digest_and_source_and_needs_no_bytes() {
    let script = push_registry().on("POST", UPLOADS, [Answer::status(201)]);
    let server = FaultServer::start(script);
    let blob = elsewhere(&format!("{}/base", server.address()));
    let store = repository(server.address(), "app");
    assert_eq!(store.put_blob(&blob).await.unwrap(), Outcome::Mounted);
    let digest = blob.descriptor().digest.to_string().replace(':', "%3A");
    let expected = format!("POST /v2/app/blobs/uploads/?mount={digest}&from=base");
    assert_eq!(lines(&server, "POST"), [expected]);
    assert_eq!(lines(&server, "P").len(), 1);
}

#[tokio::test]
async fn m1_a_blob_known_from_another_registry_is_asked_for_with_its_origin() {
    let script = push_registry().on("POST", UPLOADS, [Answer::status(201)]);
    let server = FaultServer::start(script);
    let blob = elsewhere("quay.io/team/base");
    let store = repository(server.address(), "app");
    assert_eq!(store.put_blob(&blob).await.unwrap(), Outcome::Mounted);
    let asked = lines(&server, "POST").join(" ");
    assert!(
        asked.ends_with("&from=team%2Fbase&origin=quay.io"),
        "{asked}"
    );
}

#[tokio::test]
async fn m2_a_session_instead_of_a_mount_is_used() {
    let server = FaultServer::start(push_registry());
    let blob = elsewhere(&format!("{}/base", server.address()));
    let store = repository(server.address(), "app");
    assert_eq!(store.put_blob(&blob).await.unwrap(), Outcome::Written);
    assert_eq!(
        (lines(&server, "POST").len(), lines(&server, "PUT").len()),
        (1, 1)
    );
}

#[tokio::test]
async fn m2_whatever_else_becomes_of_a_mount_the_blob_is_sent_after_one_more_question() {
    for odd in [
        Answer::status(400),
        Answer::status(401),
        Answer::status(403),
        Answer::status(404),
        Answer::status(405),
        Answer::status(500),
        Answer::status(200),
        // Accepted, but without a `Location`.
        Answer::status(202),
        Answer::drop_connection(),
    ] {
        let script = push_registry().on("POST", UPLOADS, [odd.clone(), Answer::fall_through()]);
        let server = FaultServer::start(script);
        let blob = elsewhere(&format!("{}/base", server.address()));
        let store = repository(server.address(), "app");
        let outcome = store.put_blob(&blob).await;
        assert_eq!(outcome.unwrap(), Outcome::Written, "{odd:?}");
        let asked = lines(&server, "POST");
        assert_eq!(asked.len(), 2, "{odd:?}: {asked:?}");
        assert_eq!(asked[1], "POST /v2/app/blobs/uploads/");
    }
}

#[tokio::test]
async fn e5_a_registry_that_finds_blobs_is_asked_in_one_request_for_all() {
    let own = |answer: Answer| answer.header("Wharf-Takes", TAKES);
    let script = push_registry()
        .on("HEAD", "/v2/*/manifests/*", [own(Answer::status(404))])
        .on("POST", UPLOADS, [own(Answer::status(201))]);
    let server = FaultServer::start(script);
    let (source, root) = image(&[seeded_bytes(1, 200_000), seeded_bytes(2, 300_000)]).await;
    let summary = push(&server, &source, &root).await.unwrap();
    // The config is small: its existence is checked, and it would have gone with the POST.
    assert_eq!((summary.mounted, summary.written), (2, 1));
    assert_eq!(lines(&server, "HEAD /v2/app/blobs/").len(), 1);
    let asked = lines(&server, "POST");
    assert_eq!(asked.len(), 3, "{asked:?}");
    let mounts = asked.iter().filter(|line| line.contains("?mount="));
    assert!(mounts.clone().count() == 2 && mounts.clone().all(|line| !line.contains("from=")));
    assert_eq!(lines(&server, "PUT /v2/app/blobs/").len(), 0);
}

#[tokio::test]
async fn e5_other_registries_are_not_asked_to_mount_without_a_source() {
    let server = FaultServer::start(push_registry());
    let (source, root) = image(&[seeded_bytes(1, 200_000)]).await;
    push(&server, &source, &root).await.unwrap();
    let asked = lines(&server, "POST");
    assert!(
        asked.iter().all(|line| !line.contains("mount=")),
        "{asked:?}"
    );
}

#[tokio::test]
async fn u1_a_small_blob_goes_with_the_post_where_that_is_known_to_work() {
    let own = Answer::status(404).header("Wharf-Takes", TAKES);
    let script = push_registry().on("HEAD", BLOB, [own]).on_when(
        "POST",
        UPLOADS,
        |r| r.query("digest").is_some(),
        [Answer::status(201)],
    );
    let server = FaultServer::start(script);
    let (source, root) = image(&[seeded_bytes(1, 5000)]).await;
    push(&server, &source, &root).await.unwrap();
    let requests = server.requests();
    let posts: Vec<_> = requests.iter().filter(|r| r.method == "POST").collect();
    assert_eq!(posts.len(), 2);
    assert!(posts.iter().any(|post| post.body_len == 5000));
    assert_eq!(lines(&server, "PUT /v2/app/blobs/").len(), 0);
}

#[tokio::test]
async fn u1_a_post_whose_body_was_not_looked_at_is_a_session() {
    let own = Answer::status(404).header("Wharf-Takes", TAKES);
    let server = FaultServer::start(push_registry().on("HEAD", BLOB, [own]));
    let (source, root) = image(&[seeded_bytes(1, 5000)]).await;
    let summary = push(&server, &source, &root).await.unwrap();
    assert_eq!(summary.written, 2);
    assert_eq!(lines(&server, "PUT /v2/app/blobs/").len(), 2);
}

#[tokio::test]
async fn u1_a_post_with_a_body_that_is_refused_is_no_end() {
    let own = Answer::status(404).header("Wharf-Takes", TAKES);
    let with_body = |request: &RecordedRequest| request.query("digest").is_some();
    let script = push_registry().on("HEAD", BLOB, [own]).on_when(
        "POST",
        UPLOADS,
        with_body,
        [Answer::status(405)],
    );
    let server = FaultServer::start(script);
    let (source, root) = image(&[seeded_bytes(1, 5000)]).await;
    assert_eq!(push(&server, &source, &root).await.unwrap().written, 2);
    assert_eq!(lines(&server, "PUT /v2/app/blobs/").len(), 2);
}

#[tokio::test]
async fn u5_a_session_that_has_everything_is_only_ended() {
    let status = Answer::status(204).header("Range", "0-999999");
    let script = push_registry()
        .on("PUT", SESSION, [Answer::status(503), Answer::status(201)])
        .on("GET", SESSION, [status]);
    let server = FaultServer::start(script);
    let (outcome, _) = layer_only(&server, &seeded_bytes(1, 1_000_000)).await;
    assert_eq!(outcome.unwrap(), Outcome::Written);
    let last = server.requests().pop().unwrap();
    assert_eq!((last.method.as_str(), last.body_len), ("PUT", 0));
}

#[tokio::test]
async fn u4_chunks_are_of_the_size_that_was_asked_for() {
    let state = Arc::new(AtomicU64::new(0));
    let server = FaultServer::start(chunked_registry(&state));
    let (source, root) = image(&[seeded_bytes(1, 2_500_000)]).await;
    let (options, record) = options();
    copy(&source, &chunking(&server, MIB), &[root], &options)
        .await
        .unwrap();
    let expected = ["0-1048575", "1048576-2097151", "2097152-2499999"];
    assert_eq!(ranges(&server), expected);
    let (total, complete) = record.total_and_complete();
    assert_eq!(total, complete);
}

#[tokio::test]
async fn u4_chunks_are_no_smaller_than_the_registry_says() {
    let state = Arc::new(AtomicU64::new(0));
    let session = Answer::status(202)
        .header("Location", "{path}session-{n}")
        .header("OCI-Chunk-Min-Length", "2000000");
    let script = chunked_registry(&state).on("POST", UPLOADS, [session]);
    let server = FaultServer::start(script);
    let (source, root) = image(&[seeded_bytes(1, 2_500_000)]).await;
    let (options, _) = options();
    copy(&source, &chunking(&server, MIB), &[root], &options)
        .await
        .unwrap();
    assert_eq!(ranges(&server), ["0-1999999", "2000000-2499999"]);
}

#[tokio::test]
async fn u4_a_stream_of_unknown_length_is_cut_too() {
    let state = Arc::new(AtomicU64::new(0));
    let server = FaultServer::start(chunked_registry(&state));
    let content = seeded_bytes(3, 2_500_000);
    let pieces: Vec<_> = content
        .chunks(700_000)
        .map(|c| Ok(c.to_vec().into()))
        .collect();
    let store = chunking(&server, MIB);
    let made = store
        .ingest(
            &MediaType::OCI_LAYER,
            intake::once(stream::iter(pieces).boxed()),
        )
        .await
        .unwrap();
    assert_eq!((made.digest, made.size), (Digest::of(&content), 2_500_000));
    let expected = ["0-1048575", "1048576-2097151", "2097152-2499999"];
    assert_eq!(ranges(&server), expected);
}

#[tokio::test]
async fn u4_bodies_that_are_too_large_are_cut_from_then_on() {
    let state = Arc::new(AtomicU64::new(0));
    let script = chunked_registry(&state).on_when(
        "*",
        SESSION,
        |request| {
            request
                .header("content-length")
                .is_some_and(|l| l.parse::<u64>().unwrap() > MIB)
        },
        [Answer::error(413, "SIZE_INVALID", "too large").without_reading()],
    );
    let server = FaultServer::start(script);
    let (source, root) = image(&[seeded_bytes(1, 2_000_000)]).await;
    let store = repository(server.address(), "app");
    let (options, _) = options();
    copy(&source, &store, &[root], &options).await.unwrap();
    assert_eq!(ranges(&server), ["0-999999", "1000000-1999999"]);
    let refused = || {
        let requests = server.requests().into_iter();
        requests.filter(|r| r.status == Some(413)).count()
    };
    // A refusal may be lost when the connection is closed during the body.
    let before = refused();
    assert!(before >= 1);
    // The next blob is not refused first.
    state.store(0, Ordering::SeqCst);
    let (source, root) = image(&[seeded_bytes(2, 2_000_000)]).await;
    copy(&source, &store, &[root], &options).await.unwrap();
    assert_eq!(refused(), before);
}

#[tokio::test]
async fn u4_a_chunk_the_registry_places_elsewhere_is_sent_where_it_says() {
    let state = Arc::new(AtomicU64::new(0));
    let status = {
        let state = Arc::clone(&state);
        Answer::from_fn(move |_| {
            let last = state.load(Ordering::SeqCst).saturating_sub(1);
            Answer::status(204)
                .header("Location", "{path}")
                .header("Range", &format!("0-{last}"))
        })
    };
    // It keeps only part of the second chunk, and reports that with the third.
    let lossy = {
        let (state, count, lossless) = (Arc::clone(&state), AtomicU64::new(0), counting(&state));
        Answer::from_fn(move |request| {
            let answer = lossless(request);
            if count.fetch_add(1, Ordering::SeqCst) == 1 {
                state.fetch_sub(500_000, Ordering::SeqCst);
            }
            answer
        })
    };
    let script = push_registry()
        .on("PATCH", SESSION, [lossy])
        .on("GET", SESSION, [status]);
    let server = FaultServer::start(script);
    let (source, root) = image(&[seeded_bytes(1, 3_000_000)]).await;
    let (options, _) = options();
    copy(&source, &chunking(&server, 1_000_000), &[root], &options)
        .await
        .unwrap();
    let expected = [
        "0-999999",
        "1000000-1999999",
        "2000000-2999999",
        "1500000-2499999",
        "2500000-2999999",
    ];
    assert_eq!(ranges(&server), expected);
}

/// A registry with this status of a session after an interrupted PUT.
fn broken_off(status: Answer) -> Script {
    push_registry()
        .on(
            "PUT",
            SESSION,
            [Answer::close_after(500_000), Answer::status(201)],
        )
        .on("GET", SESSION, [status])
}

async fn layer_only(server: &FaultServer, content: &[u8]) -> (wharf::Result<Outcome>, u32) {
    let descriptor = Descriptor::new(
        MediaType::OCI_LAYER_GZIP,
        Digest::of(content),
        content.len() as u64,
    );
    let blob = Blob::from_bytes(descriptor, content.to_vec().into());
    let (options, record) = options();
    let store = repository(server.address(), "app");
    let outcome = wharf::copy::push_blob(&store, &blob, &options).await;
    (outcome, record.retried())
}

#[tokio::test]
async fn u5_an_upload_that_broke_off_goes_on_where_the_registry_says() {
    let status = Answer::status(204)
        .header("Location", "/v2/app/blobs/uploads/moved?state=2")
        .header("Range", "0-399999");
    let server = FaultServer::start(broken_off(status));
    let content = seeded_bytes(1, 1_000_000);
    let (outcome, retried) = layer_only(&server, &content).await;
    assert_eq!((outcome.unwrap(), retried), (Outcome::Written, 1));
    assert_eq!(lines(&server, "POST").len(), 1);
    let requests = server.requests();
    let last = requests.iter().rfind(|r| r.method == "PUT").unwrap();
    assert_eq!(last.header("content-range"), Some("400000-999999"));
    assert_eq!(last.body_len, 600_000);
    assert!(
        last.target
            .starts_with("/v2/app/blobs/uploads/moved?state=2&digest=")
    );
    assert_eq!(
        last.body_sha256,
        wharf_testkit::sha256_hex(&content[400_000..])
    );
}

#[tokio::test]
async fn u5_a_session_that_is_gone_or_says_nothing_of_use_is_begun_anew() {
    for status in [
        Answer::error(404, "BLOB_UPLOAD_UNKNOWN", "gone"),
        Answer::status(416),
        Answer::status(405),
        Answer::error(400, "BLOB_UPLOAD_INVALID", "stale"),
        // No range, one byte or none, more than the blob, nonsense.
        Answer::status(204),
        Answer::status(204).header("Range", "0-0"),
        Answer::status(204).header("Range", "0-1000000"),
        Answer::status(204).header("Range", "bytes 5-7"),
    ] {
        let server = FaultServer::start(broken_off(status.clone()));
        let (outcome, _) = layer_only(&server, &seeded_bytes(1, 1_000_000)).await;
        assert_eq!(outcome.unwrap(), Outcome::Written, "{status:?}");
        assert_eq!(lines(&server, "POST").len(), 2, "{status:?}");
        let requests = server.requests();
        let last = requests.iter().rfind(|r| r.method == "PUT").unwrap();
        assert_eq!(
            (last.header("content-range"), last.body_len),
            (None, 1_000_000)
        );
    }
}

#[tokio::test]
async fn u5_a_registry_that_lies_about_its_range_gets_the_blob_afresh() {
    let status = Answer::status(204).header("Range", "0-699999");
    let script = broken_off(status).on_when(
        "PUT",
        SESSION,
        |request| request.header("content-range").is_some(),
        [Answer::error(400, "DIGEST_INVALID", "other bytes")],
    );
    let server = FaultServer::start(script);
    let (outcome, _) = layer_only(&server, &seeded_bytes(1, 1_000_000)).await;
    assert_eq!(outcome.unwrap(), Outcome::Written);
    let puts: Vec<u64> = server
        .requests()
        .iter()
        .filter(|r| r.method == "PUT")
        .map(|r| r.body_len)
        .collect();
    assert_eq!(puts[1..], [300_000, 1_000_000]);
}

#[tokio::test]
async fn u5_a_registry_that_forgets_what_broke_off_is_sent_pieces_from_then_on() {
    let state = Arc::new(AtomicU64::new(0));
    let script = broken_off(Answer::status(404));
    let script = script.on("PATCH", SESSION, [Answer::from_fn(counting(&state))]);
    let server = FaultServer::start(script);
    let (outcome, _) = layer_only(&server, &seeded_bytes(1, 40_000_000)).await;
    assert_eq!(outcome.unwrap(), Outcome::Written);
    let expected = ["0-16777215", "16777216-33554431", "33554432-39999999"];
    assert_eq!(ranges(&server), expected);
}

#[tokio::test]
async fn u7_redirects_of_uploads_are_followed_with_the_body() {
    for status in [307, 308] {
        let elsewhere = Answer::status(status).header("Location", "/elsewhere?x=1");
        let script = push_registry().on("PUT", SESSION, [elsewhere.clone()]).on(
            "PUT",
            "/elsewhere",
            [Answer::status(201)],
        );
        let server = FaultServer::start(script);
        let content = seeded_bytes(1, 3_000_000);
        let (outcome, retried) = layer_only(&server, &content).await;
        assert_eq!((outcome.unwrap(), retried), (Outcome::Written, 0));
        let requests = server.requests();
        let last = requests.last().unwrap();
        assert_eq!((last.path(), last.body_len), ("/elsewhere", 3_000_000));
        assert_eq!(last.body_sha256, wharf_testkit::sha256_hex(&content));
    }
}

#[tokio::test]
async fn u7_bytes_that_come_once_cannot_be_sent_elsewhere_when_many_are_gone() {
    let elsewhere = Answer::status(307).header("Location", "/elsewhere");
    let script = push_registry().on("PATCH", SESSION, [elsewhere]).on(
        "PATCH",
        "/elsewhere",
        [Answer::status(202)],
    );
    let server = FaultServer::start(script);
    let store = repository(server.address(), "app");
    let once = |chunks: usize| {
        let chunks = (0..chunks).map(|_| Ok(vec![1; 1 << 20].into()));
        intake::once(stream::iter(chunks.collect::<Vec<_>>()).boxed())
    };
    let many = store.ingest(&MediaType::OCI_LAYER, once(20)).await;
    let error = many.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("come only once"), "{error}");
    assert_eq!(lines(&server, "PATCH /elsewhere").len(), 0);
    // The bytes that are still in memory are sent again.
    for chunks in [1, 4, 16] {
        let layer = once(chunks);
        store.ingest(&MediaType::OCI_LAYER, layer).await.unwrap();
        let mut requests = server.requests().into_iter();
        let sent = requests.rfind(|r| r.path() == "/elsewhere");
        assert_eq!(sent.unwrap().body_len, (chunks as u64) << 20);
    }
}

#[tokio::test]
async fn u7_redirects_that_change_the_method_are_not_followed_with_a_body() {
    for status in [301, 302, 303] {
        let elsewhere = Answer::status(status).header("Location", "/elsewhere");
        let server = FaultServer::start(push_registry().on("PUT", SESSION, [elsewhere]));
        let (outcome, _) = layer_only(&server, &seeded_bytes(1, 1000)).await;
        assert_eq!(outcome.unwrap_err().status(), Some(status));
        assert_eq!(lines(&server, "PUT /elsewhere").len(), 0);
    }
}

#[tokio::test]
async fn u8_sessions_of_a_push_that_is_given_up_are_cancelled() {
    let refused = Answer::error(403, "DENIED", "no");
    let server = FaultServer::start(push_registry().on("PUT", SESSION, [refused]));
    let client = Client::builder().build().unwrap();
    let name = format!("{}/app", server.address());
    let store = client.repository(&name.parse().unwrap());
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    let (options, _) = options();
    copy(&source, &store, &[root], &options).await.unwrap_err();
    client.tidy(Duration::from_secs(5)).await;
    let opened = server
        .requests()
        .iter()
        .filter(|r| r.method == "POST")
        .count();
    assert_eq!(
        lines(&server, "DELETE /v2/app/blobs/uploads/").len(),
        opened
    );
    assert!(opened > 0);
}

#[tokio::test]
async fn u9_no_session_is_opened_before_the_first_bytes_are_there() {
    let server = FaultServer::start(push_registry());
    let store = repository(server.address(), "app");
    let seen = Arc::new(Mutex::new(None));
    let (lines, record) = (Arc::new(server), Arc::clone(&seen));
    let content = seeded_bytes(1, 1000);
    let descriptor = Descriptor::new(MediaType::OCI_LAYER, Digest::of(&content), 1000);
    let blob = {
        let (lines, content) = (Arc::clone(&lines), content.clone());
        Blob::new(descriptor, move |_| {
            let (lines, record) = (Arc::clone(&lines), Arc::clone(&record));
            let content = content.clone();
            let slow = stream::once(async move {
                tokio::time::sleep(Duration::from_millis(50)).await;
                *record.lock().unwrap() = Some(lines.lines());
                Ok(content.into())
            });
            async move { Ok(slow.boxed()) }.boxed()
        })
    };
    store.put_blob(&blob).await.unwrap();
    assert_eq!(
        seen.lock()
            .unwrap()
            .clone()
            .unwrap_or_default()
            .iter()
            .filter(|line| line.starts_with("POST"))
            .count(),
        0
    );
    let slow = stream::once(async { Ok(vec![1, 2, 3].into()) }).boxed();
    let slow = intake::once(slow);
    store.ingest(&MediaType::OCI_LAYER, slow).await.unwrap();
}

#[tokio::test]
async fn u9_a_connection_that_stalls_is_dropped_and_the_upload_goes_on() {
    let status = Answer::status(204).header("Range", "0-99999");
    let script = push_registry()
        .on(
            "PUT",
            SESSION,
            [Answer::hang_after(100_000), Answer::status(201)],
        )
        .on("GET", SESSION, [status]);
    let server = FaultServer::start(script);
    let timeouts = Timeouts {
        idle: Duration::from_millis(200),
        connect: Duration::from_millis(200),
        ..Timeouts::default()
    };
    let client = Client::builder().timeouts(timeouts).build().unwrap();
    let name = format!("{}/app", server.address());
    let store = client.repository(&name.parse().unwrap());
    let content = seeded_bytes(1, 50_000_000);
    let descriptor = Descriptor::new(MediaType::OCI_LAYER, Digest::of(&content), 50_000_000);
    let pieces: Vec<bytes::Bytes> = content.chunks(1 << 20).map(|c| c.to_vec().into()).collect();
    let blob = Blob::new(descriptor, move |offset| {
        let content: bytes::Bytes = pieces.concat().into();
        let rest = content.slice(usize::try_from(offset).unwrap()..);
        let chunks: Vec<_> = rest
            .chunks(1 << 20)
            .map(|c| Ok(c.to_vec().into()))
            .collect();
        async move { Ok(stream::iter(chunks).boxed()) }.boxed()
    });
    let (options, record) = options();
    let outcome = wharf::copy::push_blob(&store, &blob, &options).await;
    assert_eq!((outcome.unwrap(), record.retried()), (Outcome::Written, 1));
    assert_eq!(ranges(&server), ["100000-49999999"]);
}

#[tokio::test]
async fn o7_each_destination_fails_or_succeeds_on_its_own() {
    let refused = Answer::error(403, "DENIED", "no");
    let good = FaultServer::start(push_registry());
    let bad = FaultServer::start(push_registry().on("PUT", SESSION, [refused]));
    let shaky = [Answer::close_after(1000), Answer::fall_through()];
    let shaky = FaultServer::start(push_registry().on("PUT", SESSION, shaky));
    let (source, root) = image(&[seeded_bytes(1, 2_000_000), seeded_bytes(2, 1_000_000)]).await;
    let stores = [&good, &bad, &shaky].map(|server| repository(server.address(), "app"));
    let roots = [root];
    let destinations = destinations(&stores, &roots);
    let (options, _): (CopyOptions, _) = options();
    let outcomes = copy_to_all(&source, &destinations, &options).await;
    assert_eq!(outcomes[0].as_ref().unwrap().written, 3);
    assert_eq!(outcomes[1].as_ref().unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(outcomes[2].as_ref().unwrap().written, 3);
    for server in [&good, &shaky] {
        assert!(
            server
                .lines()
                .last()
                .unwrap()
                .starts_with("PUT /v2/app/manifests/v1")
        );
    }
    assert_eq!(lines(&bad, "PUT /v2/app/manifests/").len(), 0);
}

#[tokio::test]
async fn o7_the_source_is_read_once_for_all_that_lack_it() {
    let servers = [(); 3].map(|()| FaultServer::start(push_registry()));
    let (source, root) = image(&[seeded_bytes(1, 2_000_000), seeded_bytes(2, 1_000_000)]).await;
    let source = Counting {
        source,
        opened: Arc::default(),
    };
    let stores = servers
        .each_ref()
        .map(|server| repository(server.address(), "app"));
    let roots = [root];
    let destinations = destinations(&stores, &roots);
    let (options, _) = options();
    for outcome in copy_to_all(&source, &destinations, &options).await {
        assert_eq!(outcome.unwrap().written, 3);
    }
    assert_eq!(source.opened.load(Ordering::SeqCst), 3);
}

/// Counts how often blobs are opened.
#[derive(Debug)]
struct Counting {
    source: Memory,
    opened: Arc<AtomicU64>,
}

#[async_trait::async_trait]
impl Source for Counting {
    async fn resolve(&self, at: &wharf::oci::Selector) -> wharf::Result<Descriptor> {
        self.source.resolve(at).await
    }

    async fn manifest(&self, descriptor: &Descriptor) -> wharf::Result<wharf::oci::Manifest> {
        self.source.manifest(descriptor).await
    }

    fn blob(&self, descriptor: &Descriptor) -> Blob {
        let opened = Arc::clone(&self.opened);
        self.source.blob(descriptor).mapped(move |_, stream| {
            opened.fetch_add(1, Ordering::SeqCst);
            stream
        })
    }

    async fn blob_size(&self, digest: &Digest) -> wharf::Result<u64> {
        self.source.blob_size(digest).await
    }

    async fn precheck(&self, descriptor: &Descriptor) -> wharf::Result<()> {
        self.source.precheck(descriptor).await
    }

    async fn tags(
        &self,
        after: Option<&wharf::oci::Tag>,
        limit: usize,
    ) -> wharf::Result<Vec<wharf::oci::Tag>> {
        self.source.tags(after, limit).await
    }
}
