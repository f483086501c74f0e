//! Interrupted uploads: the bytes that arrived stay, and the session reports their number.
//! distribution-spec: "Pushing a blob in chunks", "Cancel a blob upload".

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use reqwest::{Client, Response};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use wharf::oci::Digest;
use wharf_registry::driver::Session;
use wharf_registry::{Registry, Server};
use wharf_testkit::process::only;
use wharf_testkit::{files_below, seeded_bytes};

use crate::common::{Running, both, code, disk, header};

const MIB: usize = 1 << 20;

/// The number of bytes that the session at `path` reports. On a busy machine the last request may
/// take longer to end than the registry waits for it.
async fn length(registry: &Running, path: &str) -> usize {
    let mut status = registry.get(path).await;
    while status.status() == 429 {
        status = registry.get(path).await;
    }
    assert_eq!(status.status(), 204);
    assert_eq!(header(&status, "location"), path);
    ends_at(&status)
}

fn ends_at(answer: &Response) -> usize {
    let range = header(answer, "range");
    let last: usize = range.strip_prefix("0-").unwrap().parse().unwrap();
    last + 1
}

/// The bytes of a session in the storage, whichever request writes to it.
async fn stored(registry: &Running, path: &str) -> u64 {
    let session = Session {
        repository: "a".parse().unwrap(),
        id: path.rsplit_once('/').unwrap().1.parse().unwrap(),
    };
    registry.storage.status(&session).await.unwrap()
}

/// Waits until the storage has bytes of a session.
async fn until_begun(registry: &Running, path: &str) {
    while stored(registry, path).await == 0 {
        tokio::task::yield_now().await;
    }
}

/// Sends what is missing of `content` behind the first `arrived` bytes, and commits it.
async fn finish(registry: &Running, path: &str, content: &[u8], arrived: usize) {
    let rest = content.get(arrived..).unwrap().to_vec();
    let range = format!("{arrived}-{}", content.len() - 1);
    let target = format!("{path}?digest={}", Digest::of(content));
    let headers = [("content-range", range.as_str())];
    let put = registry.send("PUT", &target, &headers, rest).await;
    assert_eq!(put.status(), 201);
}

/// Sends the head of a request with a body of `promised` bytes, and then fewer bytes.
async fn broken_off(
    registry: &Running,
    method: &str,
    path: &str,
    promised: usize,
    sent: &[u8],
) -> TcpStream {
    let mut peer = TcpStream::connect(registry.address).await.unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {promised}\r\n\r\n"
    );
    peer.write_all(head.as_bytes()).await.unwrap();
    peer.write_all(sent).await.unwrap();
    peer
}

#[tokio::test]
async fn u5_bytes_of_a_request_that_broke_off_stay_and_the_upload_goes_on() {
    for registry in both().await.1 {
        let content = seeded_bytes(1, 6 * MIB);
        let digest = Digest::of(&content);
        for method in ["PATCH", "PUT"] {
            let path = registry.begin("a").await;
            let target = match method {
                "PUT" => format!("{path}?digest={digest}"),
                _ => path.clone(),
            };
            let arrived = 2 * MIB + 12_345;
            let sent = content.get(..arrived).unwrap();
            let peer = broken_off(&registry, method, &target, content.len(), sent).await;
            until_begun(&registry, &path).await;
            drop(peer);
            assert_eq!(length(&registry, &path).await, arrived, "{method}");
            finish(&registry, &path, &content, arrived).await;
            let blob = format!("/v2/a/blobs/{digest}");
            let read = registry.get(&blob).await.bytes().await.unwrap();
            assert_eq!(read, content);
            assert_eq!(registry.status("DELETE", &blob).await, 202);
        }
    }
}

#[tokio::test]
async fn u5_a_reset_connection_loses_only_what_the_server_had_not_read() {
    for registry in both().await.1 {
        let content = seeded_bytes(2, 6 * MIB);
        let path = registry.begin("a").await;
        let sent = content.get(..3 * MIB).unwrap();
        let peer = broken_off(&registry, "PATCH", &path, content.len(), sent).await;
        until_begun(&registry, &path).await;
        let before = usize::try_from(stored(&registry, &path).await).unwrap();
        peer.set_zero_linger().unwrap();
        drop(peer);
        let arrived = length(&registry, &path).await;
        assert!((before..=3 * MIB).contains(&arrived), "{arrived}");
        finish(&registry, &path, &content, arrived).await;
    }
}

#[tokio::test]
async fn u5_a_last_chunk_out_of_order_is_told_where_the_session_is() {
    for registry in both().await.1 {
        let digest = Digest::of(b"hello world");
        let path = registry.begin("a").await;
        registry.send("PATCH", &path, &[], "hello").await;
        let target = format!("{path}?digest={digest}");
        for range in ["4-9", "6-11", "0-5"] {
            let headers = [("content-range", range)];
            let refused = registry.send("PUT", &target, &headers, " world").await;
            assert_eq!(refused.status(), 416, "{range}");
            assert_eq!(header(&refused, "location"), path);
            assert_eq!(ends_at(&refused), 5);
        }
        let headers = [("content-range", "5-10")];
        let put = registry.send("PUT", &target, &headers, " world").await;
        assert_eq!(put.status(), 201);
    }
}

/// A PATCH on a session of a registry on disk: 2 MiB have arrived and more may follow.
struct Writing {
    registry: Running,
    directory: tempfile::TempDir,
    path: String,
    body: UnboundedSender<std::io::Result<Bytes>>,
    answer: JoinHandle<Response>,
}

impl Writing {
    async fn begin() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let registry = Running::over(disk(directory.path()).await).await;
        let path = registry.begin("a").await;
        let (body, receiver) = unbounded();
        body.unbounded_send(Ok(vec![7; 2 * MIB].into())).unwrap();
        let url = format!("http://{}{path}", registry.address);
        let request = registry.client.patch(url);
        let request = request.body(reqwest::Body::wrap_stream(receiver));
        let answer = tokio::spawn(async move { request.send().await.unwrap() });
        until_begun(&registry, &path).await;
        Writing {
            registry,
            directory,
            path,
            body,
            answer,
        }
    }
}

#[tokio::test]
async fn u5_the_status_waits_for_a_request_that_is_about_to_end() {
    let writing = Writing::begin().await;
    let status = length(&writing.registry, &writing.path);
    let end = async {
        writing
            .body
            .unbounded_send(Ok(vec![7; MIB].into()))
            .unwrap();
        drop(writing.body);
        writing.answer.await.unwrap()
    };
    let (length, answer) = tokio::join!(status, end);
    assert_eq!(answer.status(), 202);
    assert_eq!(length, 3 * MIB);
}

#[tokio::test]
async fn u5_a_session_that_is_being_written_to_is_busy() {
    let writing = Writing::begin().await;
    for (method, body) in [("GET", ""), ("PATCH", "more")] {
        let path = &writing.path;
        let refused = writing.registry.send(method, path, &[], body).await;
        assert_eq!(header(&refused, "retry-after"), "1");
        let expected = (429, "TOOMANYREQUESTS".to_owned());
        assert_eq!(code(refused).await, expected, "{method}");
    }
    drop(writing.body);
    assert_eq!(writing.answer.await.unwrap().status(), 202);
    assert_eq!(length(&writing.registry, &writing.path).await, 2 * MIB);
}

#[tokio::test]
async fn u8_a_session_is_gone_once_it_is_cancelled_whoever_writes_to_it() {
    let writing = Writing::begin().await;
    let registry = &writing.registry;
    assert_eq!(registry.status("DELETE", &writing.path).await, 204);
    let uploads = writing.directory.path().join("uploads");
    assert!(files_below(&uploads).is_empty());
    for method in ["GET", "PATCH", "DELETE"] {
        assert_eq!(registry.status(method, &writing.path).await, 404);
    }
    writing
        .body
        .unbounded_send(Ok(vec![7; 2 * MIB].into()))
        .unwrap();
    drop(writing.body);
    let refused = code(writing.answer.await.unwrap()).await;
    assert_eq!(refused, (404, "BLOB_UPLOAD_UNKNOWN".to_owned()));
    assert!(files_below(&uploads).is_empty());
}

#[tokio::test]
async fn u8_a_put_into_a_cancelled_session_makes_no_blob() {
    for registry in both().await.1 {
        let content = vec![7; 3 * MIB];
        let digest = Digest::of(&content);
        let path = registry.begin("a").await;
        let target = format!("{path}?digest={digest}");
        let sent = content.get(..2 * MIB).unwrap();
        let mut peer = broken_off(&registry, "PUT", &target, content.len(), sent).await;
        until_begun(&registry, &path).await;
        assert_eq!(registry.status("DELETE", &path).await, 204);
        peer.write_all(content.get(2 * MIB..).unwrap())
            .await
            .unwrap();
        let mut answer = String::new();
        let mut reader = tokio::io::BufReader::new(peer);
        tokio::io::AsyncBufReadExt::read_line(&mut reader, &mut answer)
            .await
            .unwrap();
        assert_eq!(answer, "HTTP/1.1 404 Not Found\r\n");
        let blob = format!("/v2/a/blobs/{digest}");
        assert_eq!(registry.status("HEAD", &blob).await, 404);
    }
}

/// Names the directory to serve, in the restarted process.
const DIRECTORY: &str = "WHARF_TEST_DIRECTORY";

#[tokio::test]
#[ignore = "the part of the next test that is killed"]
async fn serves_until_it_is_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else {
        return;
    };
    let registry = Registry::new(disk(&directory).await);
    let address = "127.0.0.1:0".parse().unwrap();
    let server = Server::bind(address, registry).await.unwrap();
    println!("\nlistening on {}", server.local_addr());
    server.run(std::future::pending()).await;
}

/// A server in a process of its own, killed when the test ends, in any way.
struct Victim {
    process: Child,
    address: String,
}

impl Victim {
    fn start(directory: &std::path::Path) -> Self {
        let [program, arguments @ ..] = only("resume::serves_until_it_is_killed");
        let mut process = Command::new(program)
            .args(arguments)
            .env(DIRECTORY, directory)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut lines = lines.map_while(Result::ok);
        let address = lines.find_map(|line| Some(line.strip_prefix("listening on ")?.to_owned()));
        let Some(address) = address else {
            let _ = process.kill();
            panic!("the server did not start: {:?}", process.wait());
        };
        Victim { process, address }
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn u6_a_session_outlives_a_server_that_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let content = seeded_bytes(1, 8 * MIB);
    let digest = Digest::of(&content);
    let client = Client::builder().no_proxy().build().unwrap();
    let first = Victim::start(directory.path());
    let base = format!("http://{}", first.address);
    let begun = client.post(format!("{base}/v2/a/blobs/uploads/"));
    let begun = begun.header("content-length", "0").send().await.unwrap();
    let path = header(&begun, "location");
    let chunk = content.get(..MIB).unwrap().to_vec();
    let patch = client.patch(format!("{base}{path}")).body(chunk);
    assert_eq!(ends_at(&patch.send().await.unwrap()), MIB);
    // The second chunk is on its way when the server dies.
    let (body, receiver) = unbounded::<std::io::Result<Bytes>>();
    let chunk = content.get(MIB..4 * MIB).unwrap().to_vec();
    body.unbounded_send(Ok(chunk.into())).unwrap();
    let patch = client.patch(format!("{base}{path}"));
    let patch = patch.body(reqwest::Body::wrap_stream(receiver));
    let sending = tokio::spawn(patch.send());
    let uploads = directory.path().join("uploads");
    while files_below(&uploads).into_values().max() == Some(MIB as u64) {
        tokio::task::yield_now().await;
    }
    drop(first);
    assert!(sending.await.unwrap().is_err());
    let second = Victim::start(directory.path());
    let base = format!("http://{}", second.address);
    let status = client.get(format!("{base}{path}")).send().await.unwrap();
    assert_eq!(status.status(), 204);
    let arrived = ends_at(&status);
    assert!((MIB + 1..=4 * MIB).contains(&arrived), "{arrived}");
    let rest = content.get(arrived..).unwrap().to_vec();
    let range = format!("{arrived}-{}", content.len() - 1);
    let put = client.put(format!("{base}{path}?digest={digest}"));
    let put = put.header("content-range", range).body(rest).send().await;
    assert_eq!(put.unwrap().status(), 201);
    let blob = client.get(format!("{base}/v2/a/blobs/{digest}"));
    let read = blob.send().await.unwrap().bytes().await.unwrap();
    assert_eq!(read, content);
    assert!(files_below(&uploads).is_empty());
}

#[tokio::test]
async fn u5_bytes_that_the_disk_has_wrong_are_found_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let registry = Running::over(disk(directory.path()).await).await;
    let path = registry.begin("a").await;
    registry.send("PATCH", &path, &[], "hello").await;
    registry.stop().await;
    let uploads = directory.path().join("uploads");
    let file = files_below(&uploads).into_keys().next().unwrap();
    // As after a loss of power: the length is right, the bytes are not.
    std::fs::write(uploads.join(file), "hel\0\0").unwrap();
    let registry = Running::over(disk(directory.path()).await).await;
    assert_eq!(length(&registry, &path).await, 5);
    let digest = Digest::of(b"hello");
    let target = format!("{path}?digest={digest}");
    let refused = registry.send("PUT", &target, &[], "").await;
    assert_eq!(code(refused).await, (400, "DIGEST_INVALID".to_owned()));
    let blob = format!("/v2/a/blobs/{digest}");
    assert_eq!(registry.status("HEAD", &blob).await, 404);
    assert!(files_below(&uploads).is_empty());
    // The blob, sent again, is complete.
    let again: Arc<Running> = Arc::new(registry);
    again.put_blob("a", b"hello").await;
}
