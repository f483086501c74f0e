//! `kill -9` in the middle of a push: the next run sends only what is missing.

use wharf_testkit::{DockerRegistry, RecordingProxy};

use crate::common::pushes::{MIB, Scene, kill, sessions, until_held, uploaded, uploads};
use crate::common::{done, ran};

type Paths = Vec<std::path::PathBuf>;

/// A registry behind a proxy.
struct Way {
    scene: Scene,
    proxy: RecordingProxy,
    reference: String,
}

impl Way {
    fn new(scene: Scene, registry: std::net::SocketAddr) -> Self {
        let proxy = RecordingProxy::start(registry);
        let repository = format!("{}/app", proxy.address());
        scene.config_first(&repository);
        let reference = format!("{repository}:1");
        proxy.forget();
        Way {
            scene,
            proxy,
            reference,
        }
    }

    /// Starts a push, holds the body after `passing` others and `bytes` of its own, and kills the
    /// process. Returns the bytes in answered bodies, and in all.
    fn kill_in(&self, flags: &[&str], passing: usize, bytes: u64) -> (u64, u64) {
        self.proxy.hold_later(passing, bytes);
        let child = self.scene.push(flags, &[&self.reference]).spawn().unwrap();
        until_held(&self.proxy);
        kill(child);
        let answered = uploads(&self.proxy).filter(|request| request.status.is_some());
        let answered = answered.map(|request| request.request_bytes).sum();
        let all = uploaded(&self.proxy);
        self.proxy.forget();
        (answered, all)
    }

    /// Pushes again, to the end, and returns the bytes that passed.
    fn push_again(&self, flags: &[&str]) -> u64 {
        self.scene.pushed(flags, &[&self.reference]);
        let sent = uploaded(&self.proxy);
        self.scene.is_whole_at(&self.reference);
        assert_eq!(self.scene.notes(), Paths::new());
        sent
    }
}

#[test]
fn u6_our_registry_is_sent_what_a_push_that_was_killed_in_mid_blob_had_not_sent() {
    let scene = Scene::new(&[20 * MIB, 20 * MIB]);
    let (served, disk) = scene.registry();
    let way = Way::new(scene, served.address);
    let (_, passed) = way.kill_in(&["--jobs", "1"], 0, 13 * MIB + 5);
    assert_eq!(passed, 13 * MIB + 5);
    assert_eq!(way.scene.notes().len(), 1);
    assert_eq!(way.push_again(&[]), way.scene.layers() - passed);
    assert_eq!(sessions(&disk), Paths::new());
}

#[test]
fn u6_our_registry_is_sent_what_a_push_that_was_killed_between_blobs_had_not_sent() {
    let scene = Scene::new(&[9 * MIB, 9 * MIB]);
    let (served, disk) = scene.registry();
    let way = Way::new(scene, served.address);
    let (answered, passed) = way.kill_in(&["--jobs", "1"], 1, 0);
    assert_eq!((answered, passed), (9 * MIB, 9 * MIB));
    assert_eq!(way.push_again(&[]), way.scene.layers() - passed);
    assert_eq!(sessions(&disk), Paths::new());
}

#[test]
fn u6_our_registry_is_sent_the_rest_of_a_blob_in_chunks() {
    let scene = Scene::new(&[20 * MIB]);
    let (served, disk) = scene.registry();
    let way = Way::new(scene, served.address);
    let flags = ["--chunk-size", "4Mi", "--jobs", "1"];
    let (answered, passed) = way.kill_in(&flags, 2, 3 * MIB);
    assert_eq!((answered, passed), (8 * MIB, 11 * MIB));
    assert_eq!(way.push_again(&flags), way.scene.layers() - passed);
    assert_eq!(sessions(&disk), Paths::new());
}

#[test]
fn u6_the_reference_registry_keeps_whole_blobs_of_a_push_that_was_killed() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let way = Way::new(Scene::new(&[20 * MIB, 20 * MIB]), registry.address());
    let (answered, _) = way.kill_in(&["--jobs", "1"], 1, 5 * MIB);
    assert_eq!(answered, 20 * MIB);
    assert_eq!(way.push_again(&[]), way.scene.layers() - answered);
}

#[test]
fn u6_the_reference_registry_keeps_chunks_of_a_push_that_was_killed_between_them() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let way = Way::new(Scene::new(&[20 * MIB]), registry.address());
    let flags = ["--chunk-size", "4Mi", "--jobs", "1"];
    let (answered, passed) = way.kill_in(&flags, 2, 0);
    assert_eq!((answered, passed), (8 * MIB, 8 * MIB));
    assert_eq!(way.push_again(&flags), way.scene.layers() - answered);
}

/// The session's URL contains its length at the last answer, and version 2.8 ends a session that is
/// longer. The bytes of the broken chunk can be neither continued nor removed, so the blob is sent
/// again; no client can avoid that.
#[test]
fn u6_the_reference_registry_forgets_a_blob_of_which_a_chunk_was_cut_off() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let way = Way::new(Scene::new(&[20 * MIB]), registry.address());
    let flags = ["--chunk-size", "4Mi", "--jobs", "1"];
    let (answered, passed) = way.kill_in(&flags, 2, 3 * MIB);
    assert_eq!((answered, passed), (8 * MIB, 11 * MIB));
    assert_eq!(way.push_again(&flags), way.scene.layers());
    assert!(registry.log().contains("wrong off"), "{}", registry.log());
    // It was asked once.
    let asked = uploads(&way.proxy).filter(|request| request.method == "GET");
    assert_eq!(asked.count(), 1);
}

#[test]
fn u6_a_layer_that_was_compressed_while_the_process_was_killed_is_gone_on_with() {
    let scene = Scene::new(&[MIB]);
    let (served, disk) = scene.registry();
    let proxy = RecordingProxy::start(served.address);
    let reference = format!("{}/app:1", proxy.address());
    proxy.hold_after(13 * MIB + 5);
    let child = scene.push_archive(20 * MIB, &reference).spawn().unwrap();
    until_held(&proxy);
    kill(child);
    assert_eq!(scene.notes().len(), 1);
    proxy.forget();
    let run = ran(scene.push_archive(20 * MIB, &reference).output().unwrap());
    assert_eq!(run.code, 0, "{run:?}");
    // The rest of the layer, with what compression adds to it, and the config.
    let sent = uploaded(&proxy);
    assert!((7 * MIB - 5..7 * MIB + MIB / 2).contains(&sent), "{sent}");
    assert_eq!(scene.notes(), Paths::new());
    assert_eq!(sessions(&disk), Paths::new());
    let to = format!("oci:{}", scene.home().join("pulled").display());
    done(scene.home(), &["copy", "-q", &reference, &to]);
}
