//! Ctrl-C, and sources that turn out to be wrong, in the middle of a push: it ends at once, leaves
//! nothing anywhere, and the next run sends what is missing.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a fixture that fails fails the test"
)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::pushes::{MIB, Scene, interrupt, ran, sessions, until, until_held, uploaded};
use common::{done, wharf};
use wharf_testkit::{DockerRegistry, RecordingProxy, files_below};

/// An end within a second is what is wanted; a busy machine is given more.
const AT_ONCE: Duration = Duration::from_secs(5);

/// What is below a directory, without what lies in these parts of it.
fn below(directory: &Path, but: &[&str]) -> Vec<PathBuf> {
    let files = files_below(directory).into_keys();
    let other = |file: &PathBuf| !but.iter().any(|part| file.starts_with(part));
    files.filter(other).collect()
}

/// Neither sessions nor notes of them, nor temporary files.
fn nothing_is_left(scene: &Scene, disk: &Path) {
    // The process has waited for the answer to its DELETE.
    assert_eq!(sessions(disk), Vec::<PathBuf>::new());
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

#[test]
fn u8_the_reference_registry_is_told_of_a_push_that_is_interrupted() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let scene = Scene::new(&[20 * MIB]);
    let proxy = RecordingProxy::start(registry.address());
    proxy.hold_after(3 * MIB);
    let reference = format!("{}/app:1", proxy.address());
    let child = scene.push(&[], &[&reference]).spawn().unwrap();
    until_held(&proxy);
    let run = interrupt(child);
    assert_eq!(run.code, 130, "{run:?}");
    assert_eq!(scene.notes(), Vec::<PathBuf>::new());
    let uploads = registry
        .data_dir()
        .join("docker/registry/v2/repositories/app/_uploads");
    until("the session is gone", || {
        !uploads.exists() || files_below(&uploads).is_empty()
    });
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

/// `wharf push` without a reference keeps its content here.
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
    let scene = Scene::new(&[]);
    let data = scene.home().join(EMBEDDED);
    let pipe = scene.home().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let archive = wharf_testkit::DockerArchive::new(wharf_testkit::ArchiveStyle::Classic);
    drop((archive, pipe));
    let big = Scene::new(&[400 * MIB]);
    let data = match data.exists() {
        true => data,
        false => big.home().join(EMBEDDED),
    };
    let child = big.push(&[], &[]).spawn().unwrap();
    until("a session has bytes", || {
        data.exists() && files_below(&data).iter().any(|(file, size)| {
            *size > 0 && file.iter().any(|part| part == "uploads")
        })
    });
    let start = Instant::now();
    let run = interrupt(child);
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    assert_eq!((run.code, run.stdout.as_str()), (130, ""), "{run:?}");
    nothing_is_left(&big, &data);
    // The config may have arrived.
    let large = files_below(&data).into_iter().filter(|(_, size)| *size > MIB);
    assert_eq!(large.collect::<Vec<_>>(), []);
    done(big.home(), &["push", "-q", big.layout.directory().to_str().unwrap()]);
    let _ = (below, Stdio::null);
}
