//! Images in real registries that are to be edited, and what became of them.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;
use wharf_testkit::{DockerRegistry, LayoutFixture, RecordingProxy};

use super::wire::fetch;
use super::{Run, Served, complaint, done};

/// A home directory, and both registries; Debian's where it is installed.
pub(crate) struct Registries {
    home: tempfile::TempDir,
    served: Served,
    docker: Option<DockerRegistry>,
}

impl Registries {
    pub(crate) fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        Registries {
            served: Served::start(&home.path().join("registry")),
            docker: DockerRegistry::start(),
            home,
        }
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.home().join(name).display().to_string()
    }

    /// A layout in a directory of this name.
    pub(crate) fn layout(&self, name: &str) -> LayoutFixture {
        LayoutFixture::new(self.home().join(name))
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let docker = self.docker.as_ref().map(DockerRegistry::address);
        std::iter::once(self.served.address).chain(docker).collect()
    }

    pub(crate) fn done(&self, arguments: &[&str]) -> Run {
        done(self.home(), arguments)
    }

    /// Runs a command that must print a reference with its digest and nothing else.
    pub(crate) fn printed(&self, arguments: &[&str]) -> String {
        let run = self.done(arguments);
        let line = run.stdout.strip_suffix('\n').unwrap();
        assert!(!line.contains('\n') && line.contains("@sha256:"), "{run:?}");
        line.to_owned()
    }

    /// Runs a command that must fail, and returns its line.
    pub(crate) fn complaint(&self, arguments: &[&str]) -> String {
        complaint(self.home(), arguments)
    }
}

/// The digest in a printed reference.
pub(crate) fn digest(reference: &str) -> &str {
    reference.split_once('@').unwrap().1
}

/// The bytes of a manifest, and its media type.
pub(crate) fn manifest(address: SocketAddr, name: &str, at: &str) -> (Vec<u8>, String) {
    let answer = fetch(address, &format!("/v2/{name}/manifests/{at}"));
    assert_eq!(answer.status, 200, "{name} {at}");
    let media_type = answer.header("content-type").unwrap().to_owned();
    (answer.body, media_type)
}

/// A manifest as JSON.
pub(crate) fn manifest_json(address: SocketAddr, name: &str, at: &str) -> Value {
    serde_json::from_slice(&manifest(address, name, at).0).unwrap()
}

/// The bytes of a blob.
pub(crate) fn blob(address: SocketAddr, name: &str, digest: &str) -> Vec<u8> {
    let answer = fetch(address, &format!("/v2/{name}/blobs/{digest}"));
    assert_eq!(answer.status, 200, "{name} {digest}");
    answer.body
}

/// The bytes of the config of an image.
pub(crate) fn config(address: SocketAddr, name: &str, at: &str) -> Vec<u8> {
    let manifest = manifest_json(address, name, at);
    blob(
        address,
        name,
        manifest["config"]["digest"].as_str().unwrap(),
    )
}

/// The config of an image as JSON.
pub(crate) fn config_json(address: SocketAddr, name: &str, at: &str) -> Value {
    serde_json::from_slice(&config(address, name, at)).unwrap()
}

/// The digests of a list of descriptors.
pub(crate) fn digests(descriptors: &Value) -> Vec<&str> {
    let list = descriptors.as_array().unwrap().iter();
    list.map(|one| one["digest"].as_str().unwrap()).collect()
}

/// The methods of the requests that passed, in order, without those that ask for the API.
pub(crate) fn methods(proxy: &RecordingProxy) -> Vec<String> {
    let lines = proxy.lines().into_iter();
    let lines = lines.filter(|line| !line.ends_with(" /v2/"));
    lines
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect()
}
