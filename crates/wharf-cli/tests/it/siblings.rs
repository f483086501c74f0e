//! Layers that another repository of the registry has are mounted, within a run and across runs.

use std::net::SocketAddr;

use wharf_testkit::{DockerRegistry, RecordingProxy};

use crate::common::Served;
use crate::common::pushes::{MIB, Scene, uploaded, uploads};

/// Four layers, one of them small, and a config.
const BLOBS: usize = 5;

/// A registry that has the image under `first`, pushed by an earlier run.
struct Sibling {
    scene: Scene,
    proxy: RecordingProxy,
}

impl Sibling {
    fn new(registry: SocketAddr) -> Self {
        let scene = Scene::new(&[3 * MIB, MIB, 300_000, 5000]);
        let sibling = Sibling {
            scene,
            proxy: RecordingProxy::start(registry),
        };
        sibling.push(&[], &["first:1"]);
        sibling
    }

    /// Pushes to these repositories, and returns the number of requests about blobs and the bytes
    /// of bodies.
    fn push(&self, flags: &[&str], repositories: &[&str]) -> (usize, u64) {
        self.proxy.forget();
        let address = self.proxy.address();
        let references = repositories.iter().map(|name| format!("{address}/{name}"));
        let references: Vec<String> = references.collect();
        let references: Vec<&str> = references.iter().map(String::as_str).collect();
        self.scene.pushed(flags, &references);
        let requests = self.proxy.requests();
        let blobs = requests
            .iter()
            .filter(|request| request.path().contains("/blobs/"));
        (blobs.count(), uploaded(&self.proxy))
    }

    fn is_whole(&self, name: &str) {
        let address = self.proxy.address();
        self.scene.is_whole_at(&format!("{address}/{name}"));
    }

    fn costs_little(&self) {
        let (requests, bytes) = self.push(&[], &["second:1"]);
        assert!(requests <= BLOBS * 2, "{:?}", self.proxy.lines());
        assert_eq!(bytes, 0, "{:?}", self.proxy.lines());
        self.is_whole("second:1");
    }

    /// The layer is deleted at its remembered place, and sent.
    fn costs_one_more(&self, delete: impl Fn(&str)) {
        let (layer, _) = &self.scene.image.layers[0];
        delete(layer);
        let (requests, bytes) = self.push(&[], &["second:1"]);
        // The mount fails and it is sent; the others cost at most two requests.
        assert!(requests <= BLOBS * 2 + 1, "{:?}", self.proxy.lines());
        assert_eq!(bytes, self.scene.layout.read(layer).len() as u64);
        self.is_whole("second:1");
        // The wrong memory is dropped, the right one is kept.
        let (requests, bytes) = self.push(&[], &["third:1"]);
        assert!(requests <= BLOBS * 2, "{:?}", self.proxy.lines());
        assert_eq!(bytes, 0, "{:?}", self.proxy.lines());
    }
}

fn delete_at(address: SocketAddr, digest: &str) {
    let url = format!("http://{address}/v2/first/blobs/{digest}");
    let status = std::process::Command::new("curl")
        .args(["-sf", "-X", "DELETE", &url])
        .status();
    assert!(status.unwrap().success());
}

#[test]
fn e4_a_sibling_repository_of_our_registry_costs_two_requests_a_layer_and_no_bytes() {
    let home = tempfile::tempdir().unwrap();
    let served = Served::start(home.path());
    let sibling = Sibling::new(served.address);
    sibling.costs_little();
    let (_, bytes) = sibling.push(&["--no-cache"], &["third:1"]);
    // It finds blobs in any repository; small ones are sent without an existence check.
    assert!(bytes <= 5000 + 1000, "{bytes}");
}

#[test]
fn e4_a_sibling_repository_of_the_reference_registry_costs_two_requests_a_layer_and_no_bytes() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    Sibling::new(registry.address()).costs_little();
}

#[test]
fn e4_a_layer_that_is_gone_where_it_was_costs_our_registry_one_request_more() {
    let home = tempfile::tempdir().unwrap();
    let served = Served::start(home.path());
    let sibling = Sibling::new(served.address);
    sibling.costs_one_more(|layer| delete_at(served.address, layer));
}

#[test]
fn e4_a_layer_that_is_gone_where_it_was_costs_the_reference_registry_one_request_more() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let sibling = Sibling::new(registry.address());
    sibling.costs_one_more(|layer| delete_at(registry.address(), layer));
}

#[test]
fn m2_a_mount_from_a_repository_that_does_not_exist_falls_back() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let sibling = Sibling::new(registry.address());
    let repositories = registry.data_dir().join("docker/registry/v2/repositories");
    std::fs::remove_dir_all(repositories.join("first")).unwrap();
    let (requests, bytes) = sibling.push(&[], &["second:1"]);
    assert!(requests <= BLOBS * 3, "{:?}", sibling.proxy.lines());
    let config = sibling
        .scene
        .layout
        .read(&sibling.scene.image.config_digest);
    assert_eq!(bytes, sibling.scene.layers() + config.len() as u64);
    sibling.is_whole("second:1");
}

#[test]
fn o7_two_new_repositories_of_one_registry_are_sent_an_image() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let sibling = Sibling::new(registry.address());
    let (requests, bytes) = sibling.push(&[], &["second:1", "third:1"]);
    assert!(requests <= 2 * BLOBS * 2, "{:?}", sibling.proxy.lines());
    assert_eq!(bytes, 0, "{:?}", sibling.proxy.lines());
    assert!(uploads(&sibling.proxy).all(|request| request.status == Some(201)));
    sibling.is_whole("third:1");
}
