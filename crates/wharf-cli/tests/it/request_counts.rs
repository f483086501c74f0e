//! The number of requests of commands, each in a process of its own: the next one knows what
//! earlier ones learned.

use std::path::Path;

use wharf_testkit::{LayerSpec, LayoutFixture, RecordingProxy};

use crate::common::{Served, done};

/// The methods of the requests of `wharf push` with these arguments.
fn pushed(proxy: &RecordingProxy, home: &Path, arguments: &[&str]) -> Vec<String> {
    requests(proxy, home, &[&["push", "-q"], arguments].concat())
}

/// The methods of the requests of a command.
fn requests(proxy: &RecordingProxy, home: &Path, arguments: &[&str]) -> Vec<String> {
    proxy.forget();
    done(home, arguments);
    let requests = proxy.requests().into_iter();
    requests.map(|request| request.method).collect()
}

/// The same without the question for the root of the API, if the command asked it. A machine under
/// load refuses TLS so late that plain HTTP is tried meanwhile.
fn without_probe(proxy: &RecordingProxy, methods: &mut Vec<String>) {
    let mut lines = proxy.requests().into_iter().map(|request| request.line());
    if let Some(probe) = lines.position(|line| line == "GET /v2/") {
        assert_eq!(methods.remove(probe), "GET");
    }
}

#[test]
fn e3_commands_remember_what_earlier_ones_saw_unless_told_not_to() {
    let home = tempfile::tempdir().unwrap();
    let mut layout = LayoutFixture::new(home.path().join("layout"));
    layout.image(
        Some("1.0"),
        &[LayerSpec::random(1, 5000), LayerSpec::random(2, 3)],
    );
    let served = Served::start(&home.path().join("registry"));
    let proxy = RecordingProxy::start(served.address);
    let path = layout.directory().to_str().unwrap();
    let reference = |tag: &str| format!("{}/app:{tag}", proxy.address());
    let (one, two, three) = (reference("1"), reference("2"), reference("3"));

    // The embedded registry accepts small blobs with the POST: two requests each, not three.
    let mut cold = pushed(&proxy, home.path(), &[path, &one]);
    without_probe(&proxy, &mut cold);
    assert!(!cold.contains(&"GET".to_owned()), "{cold:?}");
    assert_eq!(cold.len(), 1 + 2 * 3 + 1, "{cold:?}");
    assert_eq!(pushed(&proxy, home.path(), &[path, &one]), ["HEAD"]);
    assert_eq!(pushed(&proxy, home.path(), &[path, &two]), ["HEAD", "PUT"]);
    assert!(
        home.path()
            .join(".cache/wharf/registries/names.jsonl")
            .exists()
    );
    // Three blobs are checked, because nothing is remembered.
    let forgetful = pushed(&proxy, home.path(), &["--no-cache", path, &three]);
    assert_eq!(forgetful, ["HEAD", "HEAD", "HEAD", "HEAD", "PUT"]);
    assert_eq!(
        pushed(&proxy, home.path(), &[path, &three]),
        ["HEAD", "PUT"]
    );
}

#[test]
fn no_cache_writes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let mut layout = LayoutFixture::new(home.path().join("layout"));
    layout.image(Some("1.0"), &[LayerSpec::random(1, 5000)]);
    let served = Served::start(&home.path().join("registry"));
    let reference = format!("{}/app", served.address);
    let path = layout.directory().to_str().unwrap();
    done(home.path(), &["push", "--no-cache", path, &reference]);
    assert!(!home.path().join(".cache").exists());
}

#[test]
fn tag_costs_two_requests() {
    let home = tempfile::tempdir().unwrap();
    let mut layout = LayoutFixture::new(home.path().join("layout"));
    layout.image(Some("1.0"), &[LayerSpec::random(1, 5000)]);
    let served = Served::start(&home.path().join("registry"));
    let proxy = RecordingProxy::start(served.address);
    let path = layout.directory().to_str().unwrap();
    let image = format!("{}/app:1", proxy.address());
    pushed(&proxy, home.path(), &[path, &image]);
    let tagged = requests(&proxy, home.path(), &["tag", &image, "2"]);
    assert_eq!(tagged, ["GET", "PUT"]);
}
