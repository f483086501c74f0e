//! Registries that misbehave, as source and destination: one clear error, or the right outcome.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wharf::copy::{CopyOptions, Event, Observer, Root, Summary, copy};
use wharf::oci::{Digest, Manifest, MediaType, Selector};
use wharf::remote::{Client, RemoteRepository, Timeouts};
use wharf::store::{Memory, Source, Store};
use wharf::{Error, ErrorKind, Result};
use wharf_testkit::{Answer, FaultServer, Script, push_registry, seeded_bytes};

use crate::support::{
    BLOB, MANIFEST, SESSION, UPLOADS, descriptor, finish, image, options, repository,
};

/// Long enough for this machine, short enough for a test.
const SHORT: Duration = Duration::from_millis(400);

fn hasty(address: SocketAddr) -> RemoteRepository {
    let timeouts = Timeouts {
        connect: SHORT,
        header: SHORT,
        commit: SHORT,
        idle: SHORT,
    };
    let client = Client::builder().timeouts(timeouts).build().unwrap();
    client.repository(&format!("{address}/app").parse().unwrap())
}

async fn push(to: &dyn Store, source: &Memory, root: &Root) -> Result<Summary> {
    let (options, _) = options();
    let pushed = copy(source, to, std::slice::from_ref(root), &options);
    tokio::time::timeout(Duration::from_secs(30), pushed)
        .await
        .expect("a push ends")
}

fn assert_one_line(error: &Error) {
    let text = error.to_string();
    assert!(!text.contains('\n') && !text.is_empty(), "{text}");
}

fn attempts(server: &FaultServer, start: &str) -> usize {
    let lines = server.lines();
    lines.iter().filter(|line| line.starts_with(start)).count()
}

/// A registry that has an image to copy from.
fn serving(memory: &[(Digest, Vec<u8>)], manifest: &Manifest) -> Script {
    let bytes = manifest.bytes().to_vec();
    let mut script = push_registry();
    for method in ["HEAD", "GET"] {
        let answer = Answer::status(200)
            .header("Content-Type", manifest.media_type().as_str())
            .header("Docker-Content-Digest", &manifest.digest().to_string())
            .body(bytes.clone());
        script = script.on(method, MANIFEST, [answer]);
        for (digest, content) in memory {
            let path = format!("/v2/*/blobs/{digest}");
            script = script.on(method, &path, [Answer::status(200).body(content.clone())]);
        }
    }
    script
}

/// An image of one layer, as a script and as the root of a copy from it.
async fn remote_image(layer: Vec<u8>) -> (Script, Root, Digest, Memory) {
    let (memory, root) = image(std::slice::from_ref(&layer)).await;
    let manifest = memory.manifest(descriptor(&root)).await.unwrap();
    let mut blobs = Vec::new();
    for link in manifest.links() {
        let bytes = memory
            .blob(&link.descriptor)
            .read_all(1 << 24)
            .await
            .unwrap();
        blobs.push((link.descriptor.digest, bytes.to_vec()));
    }
    let digest = Digest::of(&layer);
    (serving(&blobs, &manifest), root, digest, memory)
}

async fn pull(server: &FaultServer, root: &Root) -> Result<Memory> {
    let (options, _) = options();
    let store = Memory::new();
    let source = hasty(server.address());
    copy(&source, &store, std::slice::from_ref(root), &options).await?;
    Ok(store)
}

#[tokio::test]
async fn a_registry_that_fails_at_everything_is_one_line_with_the_tries() {
    let server = FaultServer::start(Script::new().on("*", "*", [Answer::status(500)]));
    let (source, root) = image(&[seeded_bytes(1, 100)]).await;
    let error = push(&repository(server.address(), "app"), &source, &root)
        .await
        .unwrap_err();
    assert_one_line(&error);
    assert!(error.to_string().contains("500"), "{error}");
    assert!(error.to_string().ends_with("(after 5 tries)"), "{error}");
    assert_eq!(attempts(&server, "HEAD"), 5);
}

#[tokio::test]
async fn an_early_refusal_is_heard_while_the_body_is_still_being_sent() {
    for (status, kind) in [(413, ErrorKind::Rejected), (401, ErrorKind::Unauthorized)] {
        let refusal = Answer::error(status, "DENIED", "not that").without_reading();
        let server = FaultServer::start(push_registry().on("PUT", SESSION, [refusal]));
        let (source, root) = image(&[seeded_bytes(1, 30 << 20)]).await;
        let error = push(&repository(server.address(), "app"), &source, &root)
            .await
            .unwrap_err();
        assert_eq!(
            (error.status(), error.kind()),
            (Some(status), kind),
            "{error}"
        );
        assert_one_line(&error);
    }
}

#[tokio::test]
async fn a_blob_cut_off_in_mid_answer_is_read_again() {
    let layer = seeded_bytes(1, 3 << 20);
    let (script, root, digest, _) = remote_image(layer.clone()).await;
    let cut = Answer::status(200)
        .body(layer.clone())
        .cut_body_after(1 << 20);
    let path = format!("/v2/*/blobs/{digest}");
    let server =
        FaultServer::start(script.on("GET", &path, [cut.clone(), cut, Answer::fall_through()]));
    let store = pull(&server, &root).await.unwrap();
    let copied = store.manifest(descriptor(&root)).await.unwrap();
    assert_eq!(copied.digest(), &descriptor(&root).digest);
    assert_eq!(store.blob_size(&digest).await.unwrap(), 3 << 20);
    assert_eq!(attempts(&server, &format!("GET /v2/app/blobs/{digest}")), 3);
}

#[tokio::test]
async fn fault_x_resume_a_source_that_cuts_every_answer_gives_its_blobs() {
    let layer = seeded_bytes(1, 8 << 20);
    let (script, root, digest, _) = remote_image(layer.clone()).await;
    let cutting = Answer::from_fn(move |request| {
        let range = request.header("range").unwrap_or("bytes=0-");
        let start = range.trim_start_matches("bytes=").split('-').next();
        let start: usize = start.unwrap().parse().unwrap();
        let (last, whole) = (layer.len() - 1, layer.len());
        let answer = match start {
            0 => Answer::status(200),
            _ => Answer::status(206)
                .header("Content-Range", &format!("bytes {start}-{last}/{whole}")),
        };
        answer.body(layer[start..].to_vec()).cut_body_after(2 << 20)
    });
    let path = format!("/v2/*/blobs/{digest}");
    let server = FaultServer::start(script.on("GET", &path, [cutting]));
    let store = pull(&server, &root).await.unwrap();
    assert_eq!(store.blob_size(&digest).await.unwrap(), 8 << 20);
}

#[tokio::test]
async fn fault_x_fold_an_answer_with_a_folded_header_is_read() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let body = r#"{"name":"app","tags":["a"]}"#;
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nX-Folded: a\r\n b\r\nContent-Length: {length}\r\n\
                 Connection: close\r\n\r\n{body}"
            );
        }
    });
    let tags = hasty(address).tags(None, 10).await.unwrap();
    assert_eq!(tags.len(), 1);
}

#[tokio::test]
async fn manifests_that_are_not_what_was_asked_for_are_refused() {
    for body in ["", "{", "[]", "null", "{\"schemaVersion\":2}"] {
        let (script, root, _, _) = remote_image(seeded_bytes(1, 100)).await;
        let garbled = Answer::status(200)
            .header("Content-Type", MediaType::OCI_IMAGE_MANIFEST.as_str())
            .body(body);
        let server = FaultServer::start(script.on("GET", MANIFEST, [garbled]));
        let error = pull(&server, &root).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{body:?}: {error}");
        assert_one_line(&error);
    }
}

#[tokio::test]
async fn a_manifest_cut_off_in_mid_answer_is_read_again() {
    let (script, root, _, memory) = remote_image(seeded_bytes(1, 100)).await;
    let bytes = memory.manifest(descriptor(&root)).await.unwrap();
    let cut = Answer::status(200)
        .body(bytes.bytes().clone())
        .cut_body_after(10);
    let server = FaultServer::start(script.on("GET", MANIFEST, [cut, Answer::fall_through()]));
    pull(&server, &root).await.unwrap();
}

#[tokio::test]
async fn a_head_by_digest_that_names_another_digest_says_nothing_is_there() {
    let (source, root) = image(&[seeded_bytes(1, 100)]).await;
    let lie = Answer::status(200)
        .header("Content-Type", MediaType::OCI_IMAGE_MANIFEST.as_str())
        .header("Docker-Content-Digest", &Digest::of(b"other").to_string());
    let server = FaultServer::start(push_registry().on("HEAD", MANIFEST, [lie]));
    let summary = push(&repository(server.address(), "app"), &source, &root)
        .await
        .unwrap();
    assert_eq!(summary.written, 2);
}

#[tokio::test]
async fn a_blob_of_another_length_is_refused() {
    for content in [seeded_bytes(1, 99), seeded_bytes(1, 101)] {
        let (script, root, digest, _) = remote_image(seeded_bytes(1, 100)).await;
        let path = format!("/v2/*/blobs/{digest}");
        let server =
            FaultServer::start(script.on("GET", &path, [Answer::status(200).body(content)]));
        let error = pull(&server, &root).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert_one_line(&error);
    }
}

#[tokio::test]
async fn reads_follow_redirects_but_not_for_ever_nor_to_files() {
    let layer = seeded_bytes(1, 100);
    let cases = [
        ("/elsewhere", None),
        ("{base}/elsewhere", None),
        ("{path}", Some(ErrorKind::Refused)),
        ("file:///etc/passwd", Some(ErrorKind::Rejected)),
    ];
    for (location, expected) in cases {
        let (script, root, digest, _) = remote_image(layer.clone()).await;
        let redirect = Answer::status(307).header("Location", location);
        let script = script
            .on("GET", &format!("/v2/*/blobs/{digest}"), [redirect])
            .on(
                "GET",
                "/elsewhere",
                [Answer::status(200).body(layer.clone())],
            );
        let server = FaultServer::start(script);
        let kind = pull(&server, &root).await.map(drop).map_err(|error| {
            assert_one_line(&error);
            error.kind()
        });
        assert_eq!(kind.err(), expected, "{location}");
    }
}

#[tokio::test]
async fn a_registry_that_hangs_at_any_stage_is_given_up() {
    let stages = [
        ("HEAD", MANIFEST),
        ("HEAD", BLOB),
        ("POST", UPLOADS),
        ("PUT", SESSION),
        ("PUT", MANIFEST),
    ];
    let given_up = stages.map(|(method, path)| async move {
        let server = FaultServer::start(push_registry().on(method, path, [Answer::hang()]));
        let (source, root) = image(&[seeded_bytes(1, 100)]).await;
        let error = push(&hasty(server.address()), &source, &root)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{method} {path}: {error}");
        assert_one_line(&error);
    });
    futures::future::join_all(given_up).await;
}

/// A server that answers the head of a request with `answer`, reads no body, and keeps the
/// connection.
fn deaf_server(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming().flatten() {
            let mut talking = stream.try_clone().unwrap();
            std::thread::spawn(move || talk(&mut talking, answer));
            kept.push(stream);
        }
    });
    address
}

fn read_head(stream: &mut std::net::TcpStream) -> Option<Vec<u8>> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    Some(head)
}

fn talk(stream: &mut std::net::TcpStream, answer: &str) {
    loop {
        let Some(head) = read_head(stream) else {
            return;
        };
        let reply = if head.starts_with(b"POST") {
            "HTTP/1.1 202 Accepted\r\nlocation: /v2/app/blobs/uploads/1\r\ncontent-length: 0\r\n\r\n"
        } else if head.starts_with(b"PATCH") || head.starts_with(b"PUT") {
            answer
        } else {
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
        };
        if stream.write_all(reply.as_bytes()).is_err() || reply == answer {
            return;
        }
    }
}

#[tokio::test]
async fn a_patch_that_is_accepted_before_it_was_read_does_not_hang() {
    let address = deaf_server("HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n");
    let chunks = (0..64).map(|seed| Ok(seeded_bytes(seed, 1 << 20).into()));
    let stream = wharf::intake::once(Box::pin(futures::stream::iter(chunks)));
    let repository = hasty(address);
    let ingested = repository.ingest(&MediaType::OCI_LAYER_GZIP, stream);
    let error = tokio::time::timeout(Duration::from_secs(20), ingested)
        .await
        .expect("it ends")
        .unwrap_err();
    assert_one_line(&error);
}

#[tokio::test]
async fn a_registry_that_says_yes_to_every_head_is_told_to_take_the_manifest() {
    let server = FaultServer::start(push_registry().on("HEAD", "*", [Answer::status(200)]));
    let (source, root) = image(&[seeded_bytes(1, 100)]).await;
    push(&repository(server.address(), "app"), &source, &root)
        .await
        .unwrap();
    assert_eq!(attempts(&server, "PUT /v2/app/manifests/v1"), 1);
}

#[tokio::test]
async fn sizes_that_add_up_to_more_than_can_be_counted_are_no_panic() {
    let memory = Memory::new();
    let layer = |n: u8| {
        let digest = Digest::of(&[n]);
        serde_json::json!({
            "mediaType": MediaType::OCI_LAYER_GZIP, "digest": digest, "size": u64::MAX / 2,
        })
    };
    let layers = serde_json::json!({ "layers": [layer(1), layer(2), layer(3)] });
    let root = finish(&memory, &[], layers).await;
    let manifest = memory.manifest(descriptor(&root)).await.unwrap();
    let server = FaultServer::start(serving(&[], &manifest));
    let error = pull(&server, &root).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[tokio::test]
async fn a_server_that_wants_tls_is_not_asked_again_in_the_clear() {
    // It answers 400 to plain http, like TLS servers; with TLS it is slower than the head start of
    // https.
    let (sender, asked) = std::sync::mpsc::channel();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for mut stream in listener.incoming().flatten() {
            let mut first = [0];
            stream.read_exact(&mut first).unwrap();
            if first == [0x16] {
                kept.push(stream);
                continue;
            }
            read_head(&mut stream).unwrap();
            let refusal = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n";
            stream.write_all(refusal).unwrap();
            sender.send(()).unwrap();
        }
    });
    let at = Selector::Tag("v1".parse().unwrap());
    let store = hasty(address).single_tries();
    let error = store.resolve(&at).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(asked.try_iter().count() <= 1, "only to find out");
}

/// Stops a registry when the first blob begins to move, and restarts it when the push found that it
/// does not answer.
#[derive(Debug)]
struct Restart {
    address: SocketAddr,
    server: Mutex<Option<FaultServer>>,
    missed: AtomicBool,
    comes_back: bool,
}

impl Restart {
    fn of(comes_back: bool) -> Arc<Self> {
        // An address with ports that no other test uses.
        let ip = Ipv4Addr::new(127, 0, 0, 77).into();
        let server = FaultServer::start_on(ip, push_registry());
        Arc::new(Restart {
            address: server.address(),
            server: Mutex::new(Some(server)),
            missed: AtomicBool::new(false),
            comes_back,
        })
    }
}

impl Observer for Restart {
    fn on(&self, event: Event<'_>) {
        let mut server = self.server.lock().unwrap();
        match event {
            Event::Started(_) if !self.missed.load(Ordering::Relaxed) => {
                *server = None;
            }
            Event::Retried(_, retry) if retry.error.kind() == ErrorKind::Unreachable => {
                self.missed.store(true, Ordering::Relaxed);
                if self.comes_back && server.is_none() {
                    *server = Some(FaultServer::start_at(self.address, push_registry()));
                }
            }
            _ => {}
        }
    }
}

async fn push_to(restart: &Arc<Restart>) -> Result<Summary> {
    let (source, root) = image(&[seeded_bytes(1, 5000)]).await;
    let observer: Arc<dyn Observer> = Arc::clone(restart) as _;
    let options = CopyOptions {
        observer,
        ..options().0
    };
    copy(
        &source,
        &repository(restart.address, "app"),
        &[root],
        &options,
    )
    .await
}

#[tokio::test]
async fn r1_a_registry_that_is_restarted_is_waited_for() {
    let restart = Restart::of(true);
    let summary = push_to(&restart).await.unwrap();
    assert_eq!(summary.written, 2);
    assert!(restart.missed.load(Ordering::Relaxed));
    let server = restart.server.lock().unwrap().take().unwrap();
    assert_eq!(attempts(&server, "PUT /v2/app/manifests/v1"), 1);
}

#[tokio::test]
async fn r1_a_registry_that_does_not_come_back_is_given_up_and_one_that_never_was_at_once() {
    let restart = Restart::of(false);
    let error = push_to(&restart).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.to_string().ends_with("(after 5 tries)"), "{error}");
    // No host has answered this client yet.
    let error = push_to(&restart).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(!error.to_string().contains("tries"), "{error}");
    assert!(restart.server.lock().unwrap().is_none());
}
