//! Hostile servers: each causes one clear error, soon, with little read and no secret sent (wire.md
//! section 11).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wharf::copy::copy;
use wharf::oci::{Descriptor, Digest, MAX_CONFIG_SIZE, MediaType, Selector};
use wharf::remote::{Client, RemoteRepository, Timeouts};
use wharf::store::Source;
use wharf::{Error, ErrorKind};
use wharf_testkit::{Answer, FaultServer, push_registry, seeded_bytes};

use crate::support::{image, options};

/// The most that a server can send: the limit of what is read, and the buffers of two sockets.
const SOME: u64 = 32 << 20;

/// More than any server can write in these tests.
const ENOUGH: u64 = 256 << 20;

/// A server that writes raw bytes, and counts what it could send.
struct Raw {
    address: SocketAddr,
    written: Arc<AtomicU64>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Raw {
    /// Answers each request with `start`, and then with `more` again and again, each time after
    /// `pause`.
    fn start(start: &'static str, more: Vec<u8>, pause: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (written, heads) = (Arc::new(AtomicU64::new(0)), Arc::default());
        let raw = Raw {
            address,
            written: Arc::clone(&written),
            heads: Arc::clone(&heads),
        };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), more) = (stream, more.clone()) else {
                    return;
                };
                let (written, heads) = (Arc::clone(&written), Arc::clone(&heads));
                std::thread::spawn(move || {
                    let _ = answer(stream, start, &more, pause, &written, &heads);
                });
            }
        });
        raw
    }

    fn app(&self) -> RemoteRepository {
        hasty(self.address)
    }

    /// Asserts that little was read in answer to `requests` requests without credentials.
    fn assert_little(&self, requests: usize) {
        let written = self.written.load(Ordering::Relaxed);
        assert!(written < SOME, "{written} bytes");
        let heads = self.heads.lock().unwrap();
        let shown = |head: &String| head.to_ascii_lowercase().contains("authorization");
        assert!(!heads.iter().any(shown), "{heads:?}");
        assert_eq!(heads.len(), requests, "{heads:?}");
    }
}

fn answer(
    mut stream: TcpStream,
    start: &str,
    more: &[u8],
    pause: Duration,
    written: &AtomicU64,
    heads: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    // The probe for https or http.
    if head.starts_with("GET /v2/ ") {
        return stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    heads.lock().unwrap().push(head);
    stream.write_all(start.as_bytes())?;
    while written.load(Ordering::Relaxed) < ENOUGH {
        std::thread::sleep(pause);
        stream.write_all(more)?;
        written.fetch_add(more.len() as u64, Ordering::Relaxed);
    }
    Ok(())
}

/// A client with short timeouts.
fn hasty(address: SocketAddr) -> RemoteRepository {
    let short = Duration::from_millis(600);
    let timeouts = Timeouts {
        connect: Duration::from_secs(5),
        header: short,
        commit: short,
        idle: short,
    };
    let client = Client::builder().timeouts(timeouts).build().unwrap();
    let app = client.repository(&format!("{address}/app").parse().unwrap());
    app.single_tries()
}

/// The error of a read, which must end.
async fn read(store: &RemoteRepository) -> Error {
    let selector = Selector::Tag("v1".parse().unwrap());
    let read = store.manifest_at(&selector);
    let read = tokio::time::timeout(Duration::from_secs(60), read).await;
    read.expect("a read ends").unwrap_err()
}

fn spaces() -> Vec<u8> {
    vec![b' '; 64 << 10]
}

/// One chunk of a chunked body.
fn chunk() -> Vec<u8> {
    [&b"10000\r\n"[..], &spaces(), b"\r\n"].concat()
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const ANNOUNCED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n";

#[tokio::test]
async fn rule_5_a_manifest_of_ten_gigabytes_is_read_up_to_its_limit() {
    for (start, more) in [(ANNOUNCED, spaces()), (CHUNKED, chunk())] {
        let server = Raw::start(start, more, Duration::ZERO);
        let error = read(&server.app()).await;
        assert!(
            error.to_string().contains("longer than 8388608 bytes"),
            "{error}"
        );
        server.assert_little(1);
    }
}

#[tokio::test]
async fn rule_5_a_list_of_tags_without_end_is_read_up_to_its_limit() {
    for (start, more) in [(ANNOUNCED, spaces()), (CHUNKED, chunk())] {
        let server = Raw::start(start, more, Duration::ZERO);
        let error = server.app().tags(None, 100).await.unwrap_err();
        assert!(
            error.to_string().contains("longer than 8388608 bytes"),
            "{error}"
        );
        server.assert_little(1);
    }
}

#[tokio::test]
async fn rule_5_an_error_that_talks_without_end_is_told_by_its_status() {
    let start = "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n";
    let server = Raw::start(start, chunk(), Duration::ZERO);
    let error = read(&server.app()).await;
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    let written = server.written.load(Ordering::Relaxed);
    assert!(written < SOME, "{written} bytes");
}

#[tokio::test]
async fn rule_5_headers_without_end_are_an_error() {
    let long = format!("X-Long: {}\r\n", "a".repeat(60_000)).into_bytes();
    for header in [b"X-Short: a\r\n".repeat(1000), long, vec![b'a'; 1 << 16]] {
        let server = Raw::start("HTTP/1.1 200 OK\r\n", header, Duration::ZERO);
        let error = read(&server.app()).await;
        let kinds = [ErrorKind::Rejected, ErrorKind::Interrupted];
        assert!(kinds.contains(&error.kind()), "{error}");
        server.assert_little(1);
    }
}

#[tokio::test]
async fn rule_5_a_config_that_is_said_to_be_huge_is_not_asked_for() {
    let server = Raw::start(ANNOUNCED, spaces(), Duration::ZERO);
    let digest = Digest::of(b"config");
    let config = Descriptor::new(MediaType::OCI_IMAGE_CONFIG, digest, 10 << 30);
    let blob = server.app().blob(&config);
    let error = blob.read_all(MAX_CONFIG_SIZE).await.unwrap_err();
    assert!(
        error.to_string().contains("more than the 8388608 allowed"),
        "{error}"
    );
    assert_eq!(server.heads.lock().unwrap().len(), 0);
    // A config that is larger than stated is read no further.
    let config = Descriptor::new(MediaType::OCI_IMAGE_CONFIG, Digest::of(b"config"), 6);
    let error = server.app().blob(&config).read_all(MAX_CONFIG_SIZE).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Corrupt);
    server.assert_little(1);
}

#[tokio::test]
async fn rule_5_many_headers_that_end_are_an_error_too() {
    let answer = (0..90).fold(Answer::status(200), |answer, number| {
        answer.header(&format!("X-{number}"), &"a".repeat(1000))
    });
    let script = push_registry().on("*", "/v2/*/manifests/*", [answer]);
    let server = FaultServer::start(script);
    let error = read(&hasty(server.address())).await;
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
    assert!(error.to_string().contains("more than 65536"), "{error}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn rule_2_a_flood_of_challenges_is_one_refusal() {
    let flood = "Bearer realm=\"http://evil.example/t\", Digest x=y, ".repeat(1000);
    let answer = Answer::status(401).header("WWW-Authenticate", &flood);
    let script = push_registry().on("*", "/v2/*/manifests/*", [answer]);
    let server = FaultServer::start(script);
    // Every request to that name would arrive here.
    let builder = Client::builder().resolve("evil.example", server.address());
    let repository = format!("{}/app", server.address()).parse().unwrap();
    let error = read(&builder.build().unwrap().repository(&repository)).await;
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert!(error.to_string().len() < 1000, "{error}");
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.path() != "/t")
    );
}

#[tokio::test]
async fn r5_preliminary_answers_without_end_do_not_count_as_an_answer() {
    let server = Raw::start(
        "HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n".to_vec(),
        Duration::from_millis(1),
    );
    let error = read(&server.app()).await;
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    server.assert_little(1);
}

#[tokio::test]
async fn r5_a_document_that_drips_is_given_up_though_it_never_stands_still() {
    let server = Raw::start(ANNOUNCED, vec![b' '], Duration::from_millis(20));
    let error = read(&server.app()).await;
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.to_string().contains("did not end"), "{error}");
    server.assert_little(1);
}

#[tokio::test]
async fn rule_6_a_document_that_is_both_image_and_index_is_neither() {
    let image = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"a/b","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"layers":[],"manifests":[]}"#;
    let index = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    let cases = [
        (image, "application/vnd.oci.image.manifest.v1+json"),
        (image, "application/vnd.oci.image.index.v1+json"),
        (index, "application/vnd.oci.image.manifest.v1+json"),
    ];
    for (document, media_type) in cases {
        let answer = Answer::status(200)
            .header("Content-Type", media_type)
            .body(document);
        let server = FaultServer::start(push_registry().on("GET", "/v2/*/manifests/*", [answer]));
        let error = read(&hasty(server.address())).await;
        assert_eq!(error.kind(), ErrorKind::Invalid, "{media_type}: {error}");
    }
}

#[tokio::test]
async fn rule_5_what_a_server_compressed_is_not_decompressed() {
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..1024 {
        bomb.write_all(&spaces()).unwrap();
    }
    let answer = Answer::status(200)
        .header("Content-Encoding", "gzip")
        .header("Content-Type", "application/vnd.oci.image.manifest.v1+json")
        .body(bomb.finish().unwrap());
    let server = FaultServer::start(push_registry().on("GET", "/v2/*/manifests/*", [answer]));
    let error = read(&hasty(server.address())).await;
    // Decompressed, it would be too long.
    assert!(!error.to_string().contains("longer than"), "{error}");
    assert_eq!(
        server.requests().last().unwrap().header("accept-encoding"),
        None
    );
}

#[tokio::test]
async fn rule_2_a_location_cannot_say_who_we_are() {
    let location = "http://me:hidden@{host}/v2/app/blobs/uploads/1#piece";
    let session = Answer::status(202).header("Location", location);
    let server = FaultServer::start(push_registry().on("POST", "/v2/*/blobs/uploads/", [session]));
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    let store = hasty(server.address());
    copy(&source, &store, &[root], &options().0).await.unwrap();
    let requests = server.requests();
    assert!(
        requests
            .iter()
            .any(|request| request.target.contains("/uploads/1?digest="))
    );
    for request in requests {
        assert_eq!(request.header("authorization"), None, "{}", request.line());
    }
}
