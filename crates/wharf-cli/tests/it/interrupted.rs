//! Ctrl-C, and sources that turn out wrong, in the middle of a push: it ends at once, leaves
//! nothing behind, and the next run sends what is missing.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use wharf_testkit::{DockerRegistry, RecordingProxy, files_below};

use crate::common::pushes::{
    MIB, Scene, interrupt, sessions, until, until_held, uploaded, uploads,
};
use crate::common::{done, ran, wharf};

/// The goal is one second; a busy machine gets more.
const AT_ONCE: Duration = Duration::from_secs(5);

/// Neither sessions nor notes of them, nor temporary files.
fn nothing_is_left(scene: &Scene, disk: &Path) {
    // The registry ends a single request itself, when it sees that the client is gone.
    until("sessions are gone", || sessions(disk).is_empty());
    assert_eq!(scene.notes(), Vec::<PathBuf>::new());
    assert_eq!(scene.temporary(), Vec::<PathBuf>::new());
}

fn interrupted_with(flags: &[&str], passing: usize) {
    let scene = Scene::new(&[20 * MIB, 20 * MIB]);
    let (served, disk) = scene.registry();
    let proxy = RecordingProxy::start(served.address);
    let repository = format!("{}/app", proxy.address());
    scene.config_first(&repository);
    let before = files_below(&disk);
    proxy.forget();
    proxy.hold_later(passing, 3 * MIB);
    let reference = format!("{repository}:1");
    let child = scene.push(flags, &[&reference]).spawn().unwrap();
    until_held(&proxy);
    let start = Instant::now();
    let run = interrupt(child);
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    assert_eq!((run.code, run.stdout.as_str()), (130, ""), "{run:?}");
    assert_eq!(run.stderr, "", "{run:?}");
    nothing_is_left(&scene, &disk);
    let whole = files_below(&disk).into_iter();
    let new = whole.filter(|(file, _)| !before.contains_key(file));
    let arrived: u64 = new.map(|(_, size)| size).sum();
    assert_eq!(arrived % (20 * MIB), 0, "whole blobs only");
    proxy.forget();
    scene.pushed(&[], &[&reference]);
    assert_eq!(uploaded(&proxy), scene.layers() - arrived);
    scene.is_whole_at(&reference);
    nothing_is_left(&scene, &disk);
}

#[test]
fn u8_a_push_that_is_interrupted_ends_at_once_and_leaves_nothing() {
    interrupted_with(&[], 0);
}

#[test]
fn u8_a_push_that_is_interrupted_at_its_second_blob_leaves_the_first() {
    interrupted_with(&["--jobs", "1"], 1);
}

#[test]
fn u8_a_push_in_chunks_that_is_interrupted_leaves_nothing() {
    interrupted_with(&["--chunk-size", "4Mi"], 2);
}

#[test]
fn u8_a_push_that_waits_to_try_again_ends_at_once_when_it_is_interrupted() {
    let scene = Scene::new(&[20 * MIB]);
    let (served, disk) = scene.registry();
    let proxy = RecordingProxy::start(served.address);
    let reference = format!("{}/app:1", proxy.address());
    for _ in 0..20 {
        proxy.fail_connection_after(3 * MIB);
    }
    let flags = ["--retries", "99"];
    let child = scene.push(&flags, &[&reference]).spawn().unwrap();
    until("a connection is cut twice", || uploaded(&proxy) >= 6 * MIB);
    let start = Instant::now();
    let run = interrupt(child);
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    assert_eq!(run.code, 130, "{run:?}");
    nothing_is_left(&scene, &disk);
}

/// Interrupts a chunked push to the reference registry after two chunks and this many bytes of the
/// third. Returns the answers to DELETE and the number of sessions with content that remain.
fn interrupted_at_reference(bytes: u64) -> Option<(Vec<u16>, usize)> {
    let registry = DockerRegistry::start()?;
    let scene = Scene::new(&[20 * MIB]);
    let proxy = RecordingProxy::start(registry.address());
    let repository = format!("{}/app", proxy.address());
    scene.config_first(&repository);
    proxy.forget();
    proxy.hold_later(2, bytes);
    let reference = format!("{repository}:1");
    let mut push = scene.push(&["--chunk-size", "4Mi"], &[&reference]);
    let child = push.spawn().unwrap();
    until_held(&proxy);
    let run = interrupt(child);
    assert_eq!(run.code, 130, "{run:?}");
    assert_eq!(scene.notes(), Vec::<PathBuf>::new());
    let deletes = uploads(&proxy).filter(|request| request.method == "DELETE");
    let answers = deletes.filter_map(|request| request.status).collect();
    let sessions = files_below(&registry.data_dir()).into_keys();
    // The registry may write hash states after the end of a session, but not its bytes.
    let sessions = sessions
        .filter(|file| file.iter().any(|part| part == "_uploads") && file.ends_with("data"));
    Some((answers, sessions.count()))
}

#[test]
fn u8_the_reference_registry_ends_a_session_that_was_interrupted_between_chunks() {
    if let Some(outcome) = interrupted_at_reference(0) {
        assert_eq!(outcome, (vec![204], 0));
    }
}

/// Version 2.8 does not find a session that is longer than at its last answer, not even to end it.
/// It purges it after a week; no client can end it earlier.
#[test]
fn u8_the_reference_registry_cannot_end_a_session_that_was_interrupted_in_mid_chunk() {
    if let Some(outcome) = interrupted_at_reference(MIB) {
        assert_eq!(outcome, (vec![404], 1));
    }
}

#[test]
fn a_push_of_wrong_bytes_leaves_nothing_at_the_registry() {
    let scene = Scene::new(&[9 * MIB]);
    scene.layout.corrupt(&scene.image.layers[0].0);
    let (served, disk) = scene.registry();
    for flags in [&[][..], &["--chunk-size", "2Mi"]] {
        let reference = format!("{}/app:1", served.address);
        let run = ran(scene.push(flags, &[&reference]).output().unwrap());
        assert_eq!(run.code, 1, "{run:?}");
        assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
        nothing_is_left(&scene, &disk);
        let out = format!("oci:{}", scene.home().join("out").display());
        let pulled = wharf(scene.home(), &["copy", "-q", &reference, &out]);
        assert_eq!(pulled.code, 1, "{pulled:?}");
    }
}

/// `wharf push` without a reference stores its content here.
const EMBEDDED: &str = ".local/share/wharf/registry";

#[test]
fn a_push_of_wrong_bytes_leaves_nothing_in_the_embedded_registry() {
    let scene = Scene::new(&[9 * MIB]);
    scene.layout.corrupt(&scene.image.layers[0].0);
    let run = ran(scene.push(&[], &[]).output().unwrap());
    assert_eq!(run.code, 1, "{run:?}");
    nothing_is_left(&scene, &scene.home().join(EMBEDDED));
}

#[test]
fn u8_a_push_into_the_embedded_registry_that_is_interrupted_leaves_nothing() {
    let scene = Scene::new(&[400 * MIB]);
    let data = scene.home().join(EMBEDDED);
    let child = scene.push(&[], &[]).spawn().unwrap();
    until("a session has bytes", || {
        data.exists()
            && files_below(&data)
                .iter()
                .any(|(file, size)| *size > 0 && file.iter().any(|part| part == "uploads"))
    });
    let start = Instant::now();
    let run = interrupt(child);
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    assert_eq!((run.code, run.stdout.as_str()), (130, ""), "{run:?}");
    nothing_is_left(&scene, &data);
    // The config may have arrived.
    let large = files_below(&data)
        .into_iter()
        .filter(|(_, size)| *size > MIB);
    assert_eq!(large.collect::<Vec<_>>(), []);
    done(
        scene.home(),
        &["push", "-q", scene.layout.directory().to_str().unwrap()],
    );
}
