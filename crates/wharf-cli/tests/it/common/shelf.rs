//! Images to read: in a layout, and in registries of both kinds behind proxies that count.

use std::path::PathBuf;

use serde_json::{Value, json};
use wharf_testkit::{
    Content, DockerRegistry, ImageFixture, LayerSpec, LayoutFixture, RecordingProxy,
};

use super::{Run, Served, done, text, wharf};

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// The tag `1` is an index of two images and an attestation, `2` the image for arm64 alone, `3` an
/// artifact with an empty config.
pub(crate) struct Shelf {
    pub(crate) home: tempfile::TempDir,
    pub(crate) layout: LayoutFixture,
    pub(crate) index: Content,
    pub(crate) amd64: ImageFixture,
    pub(crate) arm64: ImageFixture,
    pub(crate) attestation: Content,
    pub(crate) artifact: Content,
    _registries: (Served, Option<DockerRegistry>),
    pub(crate) proxies: Vec<RecordingProxy>,
    /// The data of each registry.
    pub(crate) disks: Vec<PathBuf>,
}

pub(crate) fn link(content: &Content) -> Value {
    json!({ "mediaType": content.media_type, "digest": content.digest, "size": content.size })
}

impl Shelf {
    /// In a layout, and pushed as `app` to every registry.
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut layout = LayoutFixture::new(home.path().join("layout"));
        let shared = LayerSpec::tar(&[("etc/motd", b"hello\n")]);
        let amd64 = layout.child("linux/amd64", std::slice::from_ref(&shared));
        let arm64 = layout.child(
            "linux/arm64/v8",
            &[shared, LayerSpec::tar(&[("opt/x", b"x")])],
        );
        let attestation = attestation(&mut layout, &amd64);
        let children = [
            with_platform(&amd64.content(), "linux", "amd64", None),
            with_platform(&arm64.content(), "linux", "arm64", Some("v8")),
            about(&attestation, &amd64),
        ];
        let index = json!({
            "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children,
            "annotations": { "org.opencontainers.image.version": "1.0" },
        });
        let index = layout.blob(OCI_INDEX, index.to_string().as_bytes());
        let artifact = artifact(&mut layout, None);
        layout.list(Some("1"), &index);
        layout.list(Some("2"), &arm64.content());
        layout.list(Some("3"), &artifact);
        let served = Served::start(&home.path().join("registry"));
        let docker = DockerRegistry::start();
        let addresses = [
            Some(served.address),
            docker.as_ref().map(DockerRegistry::address),
        ];
        let addresses: Vec<_> = addresses.into_iter().flatten().collect();
        for address in &addresses {
            for tag in ["1", "2", "3"] {
                let from = format!("oci:{}:{tag}", text(layout.directory()));
                done(
                    home.path(),
                    &["copy", "-q", &from, &format!("{address}/app:{tag}")],
                );
            }
        }
        let disks = [Some(home.path().join("registry"))].into_iter();
        let disks = disks.chain([docker.as_ref().map(DockerRegistry::data_dir)]);
        let disks = disks.flatten().collect();
        let proxies = addresses.into_iter().map(RecordingProxy::start).collect();
        Shelf {
            home,
            layout,
            index,
            amd64,
            arm64,
            attestation,
            artifact,
            _registries: (served, docker),
            proxies,
            disks,
        }
    }

    /// The place of a tag in the layout.
    pub(crate) fn local(&self, tag: &str) -> String {
        format!("oci:{}:{tag}", text(self.layout.directory()))
    }

    /// The places of a tag: the layout, and each registry.
    pub(crate) fn places(&self, tag: &str) -> Vec<String> {
        let remote = self.proxies.iter();
        let remote = remote.map(|proxy| format!("{}/app:{tag}", proxy.address()));
        std::iter::once(self.local(tag)).chain(remote).collect()
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        wharf(self.home.path(), arguments)
    }

    /// What it prints, and nothing else.
    pub(crate) fn printed(&self, arguments: &[&str]) -> String {
        let run = self.run(arguments);
        assert_eq!(
            (run.code, run.stderr.as_str()),
            (0, ""),
            "{arguments:?}: {run:?}"
        );
        run.stdout
    }

    /// Runs `wharf` with the arguments that `of` makes of a repository behind each proxy, a second
    /// time where all that is learned once is known, and returns the requests about the repository.
    pub(crate) fn requests(&self, of: impl Fn(&str) -> Vec<String>) -> Vec<Vec<String>> {
        let asked = self.proxies.iter().map(|proxy| {
            let arguments = of(&format!("{}/app", proxy.address()));
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            done(self.home.path(), &arguments);
            proxy.forget();
            done(self.home.path(), &arguments);
            let requests = proxy.requests().into_iter();
            requests.map(|request| request.method).collect()
        });
        asked.collect()
    }

    /// Text with names in place of the digests of what the shelf has, and of its places.
    pub(crate) fn masked(&self, text: &str) -> String {
        let mut masked = text.to_owned();
        for place in ["1", "2", "3"].iter().flat_map(|tag| self.places(tag)) {
            masked = masked.replace(&place, "[place]");
        }
        for (digest, name) in [
            (&self.index.digest, "[index]"),
            (&self.amd64.manifest_digest, "[amd64]"),
            (&self.arm64.manifest_digest, "[arm64]"),
            (&self.attestation.digest, "[attestation]"),
            (&self.artifact.digest, "[artifact]"),
            (&self.amd64.config_digest, "[config of amd64]"),
            (&self.arm64.config_digest, "[config of arm64]"),
            (&self.arm64.layers[0].0, "[layer 1]"),
            (&self.arm64.layers[1].0, "[layer 2]"),
        ] {
            masked = masked.replace(digest, name);
        }
        masked
    }

    /// The bytes of content as the layout has them.
    pub(crate) fn bytes(&self, digest: &str) -> String {
        String::from_utf8(self.layout.read(digest)).unwrap()
    }
}

fn with_platform(content: &Content, os: &str, architecture: &str, variant: Option<&str>) -> Value {
    let mut child = link(content);
    child["platform"] = json!({ "os": os, "architecture": architecture });
    if let Some(variant) = variant {
        child["platform"]["variant"] = variant.into();
    }
    child
}

/// An entry of an index as BuildKit writes it for an attestation of an image.
fn about(attestation: &Content, image: &ImageFixture) -> Value {
    let mut child = with_platform(attestation, "unknown", "unknown", None);
    child["annotations"] = json!({
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": image.manifest_digest,
    });
    child
}

/// A manifest of provenance, as BuildKit writes it since 2026: with an empty config.
fn attestation(layout: &mut LayoutFixture, image: &ImageFixture) -> Content {
    let empty = layout.blob("application/vnd.oci.empty.v1+json", b"{}");
    let statement = layout.blob(
        IN_TOTO,
        b"{\"predicateType\":\"https://slsa.dev/provenance/v1\"}",
    );
    let manifest = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST,
        "artifactType": "application/vnd.docker.attestation.manifest.v1+json",
        "config": link(&empty), "layers": [link(&statement)], "subject": link(&image.content()),
    });
    layout.blob(OCI_MANIFEST, manifest.to_string().as_bytes())
}

/// An artifact with a text, and with an empty config.
pub(crate) fn artifact(layout: &mut LayoutFixture, subject: Option<&Content>) -> Content {
    let empty = layout.blob("application/vnd.oci.empty.v1+json", b"{}");
    let text = layout.blob("text/plain", b"a note");
    let mut manifest = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "application/vnd.example.note",
        "config": link(&empty), "layers": [link(&text)],
    });
    if let Some(subject) = subject {
        manifest["subject"] = link(subject);
    }
    layout.blob(OCI_MANIFEST, manifest.to_string().as_bytes())
}
