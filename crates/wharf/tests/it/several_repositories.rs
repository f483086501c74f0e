//! Several repositories of one registry, in one push or in several at once: content is sent once,
//! and mounted into the others.

use std::slice::from_ref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use wharf::copy::{CopyOptions, Existing, Root, Summary, copy, copy_to_all};
use wharf::layer::{NewImage, PendingLayer};
use wharf::oci::{Digest, MediaType, Reference};
use wharf::remote::{Client, RemoteRepository};
use wharf::store::{Memory, Source};
use wharf::{ErrorKind, Result};
use wharf_testkit::{Answer, FaultServer, RecordingProxy, Script, push_registry, seeded_bytes};

use crate::support::{
    UPLOADS, count, counted_registry, descriptor, destinations, image, layer, lines, options,
    reference, repository_name, wharf,
};

/// Repositories of one registry, by one client.
fn stores(address: std::net::SocketAddr, names: &[&str]) -> Vec<RemoteRepository> {
    let client = Client::builder().build().unwrap();
    let store = |name: &&str| client.repository(&repository_name(address, name));
    names.iter().map(store).collect()
}

async fn push(source: &Memory, stores: &[RemoteRepository], root: Root) -> Vec<Result<Summary>> {
    let roots = [root];
    copy_to_all(source, &destinations(stores, &roots), &options().0).await
}

/// How many requests to a repository have this method, and how many of them mount.
fn requests(proxy: &RecordingProxy, name: &str) -> (usize, usize) {
    let of = |line: &String| line.contains(&format!("/v2/{name}/"));
    let all: Vec<String> = proxy.lines().into_iter().filter(of).collect();
    let mounts = all.iter().filter(|line| line.contains("mount="));
    (all.len(), mounts.count())
}

fn uploaded(proxy: &RecordingProxy) -> u64 {
    let requests = proxy.requests().into_iter();
    let uploads = requests.filter(|request| request.path().contains("/uploads/"));
    uploads.map(|request| request.request_bytes).sum()
}

/// A registry that mounts what it is asked to.
fn mounting() -> Script {
    let mounts = |request: &wharf_testkit::RecordedRequest| request.query("mount").is_some();
    push_registry().on_when("POST", UPLOADS, mounts, [Answer::status(201)])
}

#[tokio::test]
async fn fault_c13_content_is_sent_once_and_mounted_into_the_others() {
    let Some((_registry, proxy)) = counted_registry() else {
        return;
    };
    let (n, names) = (3, ["one", "two", "team/three"]);
    let layers: Vec<_> = (0..n).map(|seed| seeded_bytes(seed, 10_000)).collect();
    let (source, root) = image(&layers).await;
    let stores = stores(proxy.address(), &names);
    let outcomes = push(&source, &stores, root.clone()).await;
    let n = usize::try_from(n).unwrap();
    let summaries: Vec<Summary> = outcomes.into_iter().map(Result::unwrap).collect();
    let moved = summaries
        .iter()
        .map(|summary| (summary.written, summary.mounted));
    let blobs = layers.len() as u64 + 1;
    assert_eq!(
        moved.collect::<Vec<_>>(),
        [(blobs, 0), (0, blobs), (0, blobs)]
    );
    assert_eq!(requests(&proxy, "one"), (3 * n + 5, 0));
    for name in &names[1..] {
        assert_eq!(requests(&proxy, name), (2 * n + 4, n + 1));
    }
    let manifest = source.manifest(descriptor(&root)).await.unwrap();
    for store in &stores {
        for link in manifest.links() {
            let blob = store.blob(&link.descriptor);
            assert!(blob.read_all(1 << 20).await.is_ok());
        }
    }
}

#[tokio::test]
async fn fault_c13_where_a_mount_is_declined_the_bytes_are_sent() {
    // Answers 202 to a mount.
    let server = FaultServer::start(push_registry());
    let layers: Vec<_> = (0..9).map(|seed| seeded_bytes(seed, 10_000)).collect();
    let (source, root) = image(&layers).await;
    let stores = stores(server.address(), &["one", "two", "three"]);
    for outcome in push(&source, &stores, root).await {
        assert_eq!(outcome.unwrap().written, 10);
    }
    assert_eq!(lines(&server, "PUT").len(), 3 * 11);
    // The answer to a mount opened the session.
    assert_eq!(count(&server, "POST"), 3 * 10);
}

#[tokio::test]
async fn fault_c13_when_the_first_fails_the_next_is_sent_the_bytes() {
    for (method, path) in [
        ("PUT", "/v2/one/blobs/uploads/*"),
        ("POST", "/v2/one/blobs/uploads/"),
        ("HEAD", "/v2/one/blobs/*"),
    ] {
        let refused = Answer::error(400, "NAME_INVALID", "no");
        let session = Answer::error(403, "DENIED", "no");
        let script = mounting()
            .on(method, path, [refused])
            .on("PATCH", path, [session.clone()]);
        let server = FaultServer::start(script.on("PUT", path, [session]));
        let (source, root) = image(&[seeded_bytes(1, 10_000), seeded_bytes(2, 20_000)]).await;
        let stores = stores(server.address(), &["one", "two", "three"]);
        let outcomes = push(&source, &stores, root).await;
        let kind = |error: &wharf::Error| error.kind();
        if method != "HEAD" {
            let first = outcomes[0].as_ref().map(|_| ()).map_err(kind);
            assert!(
                matches!(first, Err(ErrorKind::Denied | ErrorKind::Rejected)),
                "{first:?}"
            );
        }
        let rest: Vec<&Summary> = outcomes[1..].iter().map(|o| o.as_ref().unwrap()).collect();
        assert_eq!(rest[0].written + rest[0].mounted, 3, "{method}");
        assert_eq!(rest[1].mounted, 3, "{method}");
    }
}

#[tokio::test]
async fn fault_c13_a_copy_that_believes_nothing_sends_to_each() {
    let server = FaultServer::start(mounting());
    let (source, root) = image(&[seeded_bytes(1, 10_000)]).await;
    let (stores, roots) = (stores(server.address(), &["one", "two"]), [root]);
    let options = CopyOptions {
        existing: Existing::Check,
        ..options().0
    };
    for outcome in copy_to_all(&source, &destinations(&stores, &roots), &options).await {
        assert_eq!(outcome.unwrap().written, 2);
    }
    assert_eq!(
        count(&server, "PUT /v2/one/"),
        count(&server, "PUT /v2/two/")
    );
}

/// An image of one layer that is made on the way, and how often its making began.
fn made() -> (Root, Arc<AtomicUsize>) {
    let (begun, bytes) = (Arc::new(AtomicUsize::new(0)), seeded_bytes(5, 3_000_000));
    let counter = Arc::clone(&begun);
    let produce = move || {
        counter.fetch_add(1, Ordering::Relaxed);
        let reader = std::io::Cursor::new(bytes.clone());
        async move { Ok(wharf::file::reader(reader, "test")) }.boxed()
    };
    let media_type = MediaType::OCI_LAYER_GZIP;
    let layer = PendingLayer::new(Digest::of(b"its tar"), 3_000_000, media_type, produce);
    (root_of(layer), begun)
}

fn root_of(layer: PendingLayer) -> Root {
    let image = NewImage {
        layers: vec![layer],
        ..NewImage::default()
    };
    Root {
        content: image.into(),
        tags: vec!["v1".parse().unwrap()],
    }
}

#[tokio::test]
async fn fault_c13_a_layer_is_made_and_sent_once_for_a_registry() {
    let Some((_registry, proxy)) = counted_registry() else {
        return;
    };
    let (root, begun) = made();
    let stores = stores(proxy.address(), &["one", "two", "three"]);
    let outcomes = push(&Memory::new(), &stores, root).await;
    let summaries: Vec<Summary> = outcomes.into_iter().map(Result::unwrap).collect();
    assert_eq!(summaries[0].written, 2);
    for summary in &summaries[1..] {
        assert_eq!(summary.layers, summaries[0].layers);
        assert_eq!(summary.roots, summaries[0].roots);
        // The config is known when all layers are.
        assert_eq!(summary.mounted + summary.written, 2);
        assert!(summary.mounted >= 1);
    }
    assert_eq!(begun.load(Ordering::Relaxed), 1);
    let sent = uploaded(&proxy);
    assert!((3_000_000..3_100_000).contains(&sent), "{sent} bytes");
}

#[tokio::test]
async fn fault_c13_a_layer_is_made_again_where_a_mount_is_declined() {
    let server = FaultServer::start(push_registry());
    let (root, begun) = made();
    let stores = stores(server.address(), &["one", "two", "three"]);
    let outcomes = push(&Memory::new(), &stores, root).await;
    for outcome in outcomes {
        assert_eq!(outcome.unwrap().written, 2);
    }
    // Once for the first, and once for all others.
    assert_eq!(begun.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn fault_c13_a_layer_that_comes_once_goes_to_all_at_once() {
    let server = FaultServer::start(push_registry());
    let stores = stores(server.address(), &["one", "two"]);
    let root = root_of(layer(7, 3_000_000));
    for outcome in push(&Memory::new(), &stores, root).await {
        assert_eq!(outcome.unwrap().written, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_l5_concurrent_pushes_of_one_client_send_a_shared_blob_once() {
    let Some((_registry, proxy)) = counted_registry() else {
        return;
    };
    let (source, root) = image(&[seeded_bytes(1, 3_000_000), seeded_bytes(2, 2_000_000)]).await;
    let wharf = wharf();
    let to = |name: &str| -> Reference { reference(proxy.address(), &format!("{name}:1")) };
    let push = |name: &'static str| {
        let (wharf, content, to) = (&wharf, descriptor(&root).clone(), to(name));
        let source = &source;
        async move { wharf.push(source, content, &to).await.unwrap().summary }
    };
    let (one, two, three) = tokio::join!(push("one"), push("two"), push("three"));
    let written = one.written + two.written + three.written;
    assert_eq!((written, one.mounted + two.mounted + three.mounted), (3, 6));
    let config = 200;
    assert!(uploaded(&proxy) <= 5_000_000 + config);
}

#[tokio::test]
async fn fault_l5_a_push_that_is_dropped_leaves_its_blob_to_the_next() {
    let stuck = [Answer::hang_after(10)];
    let script = mounting().on("PUT", "/v2/one/blobs/uploads/*", stuck);
    let server = FaultServer::start(script);
    let (source, root) = image(&[seeded_bytes(1, 3_000_000)]).await;
    let stores = stores(server.address(), &["one", "two"]);
    let options = options().0;
    let first = copy(&source, &stores[0], from_ref(&root), &options);
    let first = tokio::time::timeout(Duration::from_secs(2), first);
    let second = async {
        // After the first began.
        while count(&server, "PUT /v2/one/") == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        copy(&source, &stores[1], from_ref(&root), &options).await
    };
    let second = tokio::time::timeout(Duration::from_secs(60), second);
    let (first, second) = tokio::join!(first, second);
    assert!(first.is_err(), "it hangs");
    assert_eq!(second.expect("no deadlock").unwrap().written, 2);
}

#[tokio::test]
async fn fault_l5_a_push_that_fails_leaves_its_blob_to_the_next() {
    let slow = Answer::error(403, "DENIED", "no").after(Duration::from_millis(300));
    let script = mounting().on("PUT", "/v2/one/blobs/uploads/*", [slow]);
    let server = FaultServer::start(script);
    let (source, root) = image(&[seeded_bytes(1, 3_000_000)]).await;
    let stores = stores(server.address(), &["one", "two"]);
    let options = options().0;
    let push = |n: usize| copy(&source, &stores[n], from_ref(&root), &options);
    // Else the second may have the turn, and the first only mounts.
    let later = async {
        while count(&server, "PUT /v2/one/blobs/") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        push(1).await
    };
    let (first, second) = tokio::join!(push(0), later);
    assert_eq!(first.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(second.unwrap().written, 2);
    assert_eq!(count(&server, "PUT /v2/two/manifests/"), 1);
    assert_eq!(
        lines(&server, "PUT")
            .iter()
            .filter(|l| l.contains("/two/blobs"))
            .count(),
        2
    );
}
