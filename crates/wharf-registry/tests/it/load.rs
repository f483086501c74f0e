//! Many slow, idle and trickling clients beside working ones.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use wharf::oci::{Digest, RepositoryName};
use wharf_registry::driver::Memory;
use wharf_registry::storage::Storage;
use wharf_registry::{Limits, Registry, Server};

use crate::common::disk;
use crate::common::stepped::Stepped;

/// Longer than any of this takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// More than the buffers of a connection hold while the client reads nothing.
const BIG: usize = 16 << 20;

fn name() -> RepositoryName {
    "a".parse().unwrap()
}

async fn put_blob(storage: &Storage, content: Bytes) -> Digest {
    let digest = Digest::of(&content);
    let bytes = stream::iter([Ok(content)]).boxed();
    storage.put_blob(&name(), &digest, bytes).await.unwrap();
    digest
}

/// A server that runs as long as this.
struct Serving {
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
    _running: JoinHandle<()>,
}

async fn serve(storage: Storage, limits: Limits) -> Serving {
    let address = "127.0.0.1:0".parse().unwrap();
    let server = Server::bind(address, Registry::new(storage)).await.unwrap();
    let server = server.limits(limits);
    let (_stop, stopped) = oneshot::channel::<()>();
    Serving {
        address: server.local_addr(),
        _stop,
        _running: tokio::spawn(server.run(async {
            let _ = stopped.await;
        })),
    }
}

fn limits(connections: usize) -> Limits {
    let mut limits = Limits::default();
    limits.connections = connections;
    limits
}

async fn send(address: SocketAddr, text: &str) -> TcpStream {
    let mut peer = TcpStream::connect(address).await.unwrap();
    peer.write_all(text.as_bytes()).await.unwrap();
    peer
}

/// The answer to a request on a connection of its own.
async fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> String {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let asking = async { rest(send(address, &request).await).await };
    tokio::time::timeout(PATIENCE, asking).await.unwrap()
}

/// All that is still sent on a connection.
async fn rest(mut peer: TcpStream) -> String {
    let mut answer = Vec::new();
    // An error of the connection ends it as well.
    let _ = peer.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// A client that begins to read a blob, and then reads nothing.
async fn slow_reader(address: SocketAddr, digest: &Digest) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    // So that a thousand of them need little memory of the system.
    socket.set_recv_buffer_size(4096).unwrap();
    let mut peer = socket.connect(address).await.unwrap();
    let request = format!("GET /v2/a/blobs/{digest} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    peer.write_all(request.as_bytes()).await.unwrap();
    let begun = tokio::time::timeout(PATIENCE, peer.peek(&mut [0])).await;
    assert_eq!(begun.expect("an answer begins").unwrap(), 1);
    peer
}

/// A client that begins to send a blob, and then sends nothing.
async fn slow_writer(address: SocketAddr) -> TcpStream {
    let opened = ask(address, "POST", "/v2/a/blobs/uploads/", "").await;
    let place = opened.split("location: ").nth(1).unwrap();
    let place = place.lines().next().unwrap();
    let head =
        format!("PATCH {place} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {BIG}\r\n\r\n");
    send(address, &(head + &"x".repeat(100_000))).await
}

/// A pull, a push and the lists, all on the disk.
async fn everything_works(address: SocketAddr, small: &Digest) {
    let blob = format!("/v2/a/blobs/{small}");
    let pulled = ask(address, "GET", &blob, "").await;
    assert!(pulled.starts_with("HTTP/1.1 200"), "{pulled}");
    assert!(pulled.ends_with("\r\n\r\nsmall"), "{pulled}");
    let path = format!("/v2/a/blobs/uploads/?digest={}", Digest::of(b"new"));
    let pushed = ask(address, "POST", &path, "new").await;
    assert!(pushed.starts_with("HTTP/1.1 201"), "{pushed}");
    let index = r#"{"schemaVersion":2,"manifests":[]}"#;
    let put = ask(address, "PUT", "/v2/a/manifests/1", index).await;
    assert!(put.starts_with("HTTP/1.1 201"), "{put}");
    for path in ["/v2/a/tags/list", "/v2/a/manifests/1", "/v2/_catalog"] {
        let answer = ask(address, "GET", path, "").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

#[test]
fn fault_a8_slow_clients_hold_no_thread() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(3)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let storage = disk(directory.path()).await;
        let big = put_blob(&storage, vec![7; BIG].into()).await;
        let small = put_blob(&storage, "small".into()).await;
        let serving = serve(storage, limits(1000)).await;
        let mut peers = Vec::new();
        for _ in 0..20 {
            peers.push(slow_reader(serving.address, &big).await);
            peers.push(slow_writer(serving.address).await);
        }
        everything_works(serving.address, &small).await;
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_a8_a_lock_that_another_process_keeps_holds_no_thread() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(3)
        .enable_all()
        .build()
        .unwrap();
    let work = runtime.spawn(async {
        let directory = tempfile::tempdir().unwrap();
        let storage = disk(directory.path()).await;
        let small = put_blob(&storage, "small".into()).await;
        // Every lock is kept, as by a process that hangs.
        let kept: Vec<std::fs::File> = (0..=255)
            .map(|number| {
                let path = directory.path().join(format!("locks/{number:02x}"));
                let file = std::fs::File::create(path).unwrap();
                file.lock().unwrap();
                file
            })
            .collect();
        let serving = serve(storage, limits(1000)).await;
        let address = serving.address;
        let index = r#"{"schemaVersion":2,"manifests":[]}"#;
        let puts: Vec<JoinHandle<String>> = (0..12)
            .map(|number| {
                let path = format!("/v2/a{number}/manifests/1");
                tokio::spawn(async move { ask(address, "PUT", &path, index).await })
            })
            .collect();
        let blob = format!("/v2/a/blobs/{small}");
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let pulled = ask(address, "GET", &blob, "").await;
            assert!(pulled.ends_with("\r\n\r\nsmall"), "{pulled}");
        }
        drop(kept);
        for put in puts {
            let put = put.await.unwrap();
            assert!(put.starts_with("HTTP/1.1 201"), "{put}");
        }
    });
    work.await.unwrap();
    runtime.shutdown_background();
}

/// Lets the process open as many files as it may. Returns how many.
fn raise_files() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, limit).unwrap();
    maximum.map_or(usize::MAX, |most| usize::try_from(most).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_a8_a_thousand_slow_readers_stop_nothing() {
    // A reader needs two sockets and a file; other tests need some too.
    let readers = 1500.min(raise_files().saturating_sub(1000) / 3);
    let directory = tempfile::tempdir().unwrap();
    let storage = disk(directory.path()).await;
    let big = put_blob(&storage, vec![7; BIG].into()).await;
    let small = put_blob(&storage, "small".into()).await;
    let serving = serve(storage, limits(4096)).await;
    let connecting = (0..readers).map(|_| slow_reader(serving.address, &big));
    let peers: Vec<TcpStream> = stream::iter(connecting)
        .buffer_unordered(50)
        .collect()
        .await;
    assert_eq!(peers.len(), readers);
    everything_works(serving.address, &small).await;
}

/// Ten connections of a kind, on a server with ten places, and a request beside them.
async fn beside_ten(what: &str) {
    let directory = tempfile::tempdir().unwrap();
    let storage = disk(directory.path()).await;
    let small = put_blob(&storage, "small".into()).await;
    let serving = serve(storage, limits(10)).await;
    let mut peers = Vec::new();
    for _ in 0..10 {
        peers.push(send(serving.address, what).await);
    }
    everything_works(serving.address, &small).await;
}

#[tokio::test]
async fn fault_a10_idle_connections_shut_no_request_out() {
    beside_ten("").await;
}

#[tokio::test]
async fn fault_a10_trickling_heads_shut_no_request_out() {
    beside_ten("GET /v2/ HTTP/1.1\r\nhost: localhost\r\nx: ").await;
}

#[tokio::test]
async fn fault_a10_kept_connections_shut_no_request_out() {
    beside_ten("GET /v2/ HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
}

#[tokio::test]
async fn fault_a10_a_request_under_way_is_not_closed_for_another_one() {
    let storage = Storage::in_memory();
    let small = put_blob(&storage, "small".into()).await;
    let serving = serve(storage, limits(4)).await;
    // The oldest connection.
    let mut upload = slow_writer(serving.address).await;
    let mut idle = Vec::new();
    for _ in 0..10 {
        idle.push(send(serving.address, "").await);
    }
    everything_works(serving.address, &small).await;
    upload
        .write_all("x".repeat(BIG - 100_000).as_bytes())
        .await
        .unwrap();
    let mut answer = [0; 12];
    upload.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 202");
}

#[tokio::test]
async fn fault_a10_trickling_bodies_and_slow_readers_shut_no_request_out() {
    let directory = tempfile::tempdir().unwrap();
    let storage = disk(directory.path()).await;
    let big = put_blob(&storage, vec![7; BIG].into()).await;
    let small = put_blob(&storage, "small".into()).await;
    let mut limits = limits(6);
    limits.body = Duration::from_secs(1);
    let serving = serve(storage, limits).await;
    let mut peers = Vec::new();
    for _ in 0..3 {
        peers.push(slow_reader(serving.address, &big).await);
        peers.push(slow_writer(serving.address).await);
    }
    everything_works(serving.address, &small).await;
}

#[tokio::test]
async fn fault_a10_without_a_place_the_wait_is_bounded() {
    let stepped = Stepped::over(Arc::new(Memory::new()), 0);
    let mut limits = limits(3);
    limits.queue = Duration::from_millis(50);
    let serving = serve(Storage::new(stepped.clone()), limits).await;
    let address = serving.address;
    let working: Vec<JoinHandle<String>> = (0..3)
        .map(|_| tokio::spawn(ask(address, "GET", "/v2/a/tags/list", "")))
        .collect();
    // While the server works for all of its clients, another one is told to come back.
    let refused = loop {
        let answer = ask(address, "GET", "/v2/", "").await;
        if !answer.starts_with("HTTP/1.1 200") {
            break answer;
        }
    };
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    assert!(refused.contains("retry-after: 5"), "{refused}");
    assert!(refused.contains("UNAVAILABLE"), "{refused}");
    stepped.release();
    for answer in working {
        let answer = answer.await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    }
    let after = ask(address, "GET", "/v2/", "").await;
    assert!(after.starts_with("HTTP/1.1 200"), "{after}");
}

#[tokio::test]
async fn fault_a10_idle_connections_and_late_heads_are_closed_in_time() {
    let mut limits = limits(100);
    limits.idle = Duration::from_millis(50);
    limits.head = Duration::from_millis(50);
    let serving = serve(Storage::in_memory(), limits).await;
    let kept = "GET /v2/ HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for (sent, answered) in [("", ""), ("GET /v2/", ""), (kept, "HTTP/1.1 200")] {
        let peer = send(serving.address, sent).await;
        let answer = tokio::time::timeout(PATIENCE, rest(peer)).await.unwrap();
        assert!(answer.starts_with(answered), "{sent}: {answer}");
    }
}

#[tokio::test]
async fn fault_a10_a_body_that_stalls_is_answered_408_and_its_session_stays() {
    let mut limits = limits(100);
    limits.body = Duration::from_millis(200);
    let storage = Storage::in_memory();
    let serving = serve(storage, limits).await;
    let upload = slow_writer(serving.address).await;
    let answer = tokio::time::timeout(PATIENCE, rest(upload)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    let place = answer.contains("no bytes of the request's body arrived");
    assert!(place, "{answer}");
}

/// A manifest of about four megabytes.
fn large_manifest(number: usize) -> String {
    let pad = "x".repeat(4_000_000);
    format!(
        r#"{{"schemaVersion":2,"manifests":[],"annotations":{{"number":"{number}","pad":"{pad}"}}}}"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_c24_many_large_manifests_at_once_are_all_taken_and_given() {
    let directory = tempfile::tempdir().unwrap();
    let storage = disk(directory.path()).await;
    let serving = serve(storage, limits(1000)).await;
    let address = serving.address;
    let putting = (0..24).map(|number| async move {
        let path = format!("/v2/a/manifests/v{number}");
        let put = ask(address, "PUT", &path, &large_manifest(number)).await;
        assert!(put.starts_with("HTTP/1.1 201"), "{put}");
        let got = ask(address, "GET", &path, "").await;
        let (head, body) = got.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(body == large_manifest(number), "{}", body.len());
    });
    futures::future::join_all(putting).await;
}

#[tokio::test]
async fn fault_c24_large_manifests_that_trickle_keep_small_ones_waiting_for_nothing() {
    let storage = Storage::in_memory();
    let small = put_blob(&storage, "small".into()).await;
    let serving = serve(storage, limits(1000)).await;
    let mut trickling = Vec::new();
    // Together they want more than all of the memory for large manifests.
    for number in 0..12 {
        let head = format!(
            "PUT /v2/a/manifests/t{number} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4000000\r\n\r\n"
        );
        let begun = head + &"x".repeat(100_000);
        trickling.push(send(serving.address, &begun).await);
    }
    everything_works(serving.address, &small).await;
}

#[tokio::test]
async fn fault_c24_a_large_manifest_that_is_damaged_on_disk_is_not_given() {
    let directory = tempfile::tempdir().unwrap();
    let storage = disk(directory.path()).await;
    let serving = serve(storage, limits(100)).await;
    let manifest = large_manifest(0);
    let put = ask(serving.address, "PUT", "/v2/a/manifests/1", &manifest).await;
    assert!(put.starts_with("HTTP/1.1 201"), "{put}");
    let hex = Digest::of(manifest.as_bytes()).hex().to_owned();
    let files = wharf_testkit::files_below(&directory.path().join("blobs"));
    let file = files.into_keys().find(|path| path.ends_with(&hex)).unwrap();
    let damaged = manifest.replacen("xx", "yx", 1);
    std::fs::write(directory.path().join("blobs").join(file), damaged).unwrap();
    let got = ask(serving.address, "GET", "/v2/a/manifests/1", "").await;
    assert!(got.starts_with("HTTP/1.1 500"), "{}", &got[..100]);
}

#[tokio::test]
async fn fault_xbudget_slow_large_manifests_shut_no_other_out() {
    let mut limits = limits(100);
    // A trickle is taken for ever, a large document that others wait for is not.
    limits.body = Duration::from_secs(15);
    let serving = serve(Storage::in_memory(), limits).await;
    let mut slow = Vec::new();
    for _ in 0..8 {
        let head =
            "PUT /v2/a/manifests/v1 HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4194304\r\n\r\n";
        let mut peer = send(serving.address, head).await;
        peer.write_all(&vec![b' '; 80 << 10]).await.unwrap();
        slow.push(peer);
    }
    let trickling = tokio::spawn(async move {
        loop {
            for peer in &mut slow {
                // It may have been refused.
                let _ = peer.write_all(&[b' '; 2 << 10]).await;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let text = " ".repeat(100_000);
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]{text}}}"#
    );
    let answer = ask(serving.address, "PUT", "/v2/a/manifests/v2", &manifest).await;
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    trickling.abort();
}
