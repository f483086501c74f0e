//! Archives that are a layout and have a `manifest.json`, as `docker save` writes them: the index
//! lists images of platforms that are not there.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use wharf::oci::Digest;
use wharf::place::{LocalPlace, OpenedSource, OpenedStore, Part};
use wharf::store::{Memory, Source};
use wharf::{ErrorKind, Result, RootContent, Wharf};
use wharf_testkit::compress::compress_bytes;
use wharf_testkit::layer::tar_of;
use wharf_testkit::{FaultServer, Kind, push_registry};

use crate::support::{repository, wharf, wharf_for};

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The members of an archive.
#[derive(Default)]
struct Saved {
    files: Vec<(String, Vec<u8>)>,
    children: Vec<Value>,
    listed: Vec<Value>,
}

impl Saved {
    fn blob(&mut self, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        let path = format!("blobs/sha256/{}", digest.hex());
        self.files.push((path, bytes.to_vec()));
        digest
    }

    /// Adds an image that is there whole, and its entry of `manifest.json`.
    fn there(&mut self, architecture: &str) -> Digest {
        let tar = tar_of(&[("arch", architecture.as_bytes())]);
        let layer = compress_bytes(&tar, Kind::Gzip);
        let config = json!({"os": "linux", "architecture": architecture,
            "rootfs": {"type": "layers", "diff_ids": [Digest::of(&tar)]}});
        let config = config.to_string();
        let (layer_digest, config_digest) = (self.blob(&layer), self.blob(config.as_bytes()));
        let manifest = json!({"schemaVersion": 2, "mediaType": IMAGE,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": config_digest, "size": config.len()},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                "digest": layer_digest, "size": layer.len()}]});
        let manifest = manifest.to_string();
        let digest = self.blob(manifest.as_bytes());
        self.child(architecture, &digest, manifest.len());
        self.listed.push(json!({
            "Config": format!("blobs/sha256/{}", config_digest.hex()),
            "RepoTags": ["app:latest"],
            "Layers": [format!("blobs/sha256/{}", layer_digest.hex())],
        }));
        digest
    }

    /// Adds an image of which only the descriptor is there.
    fn absent(&mut self, architecture: &str) -> Digest {
        let digest = Digest::of(architecture.as_bytes());
        self.child(architecture, &digest, 500);
        digest
    }

    fn child(&mut self, architecture: &str, digest: &Digest, size: usize) {
        self.children
            .push(json!({"mediaType": IMAGE, "digest": digest, "size": size,
            "platform": {"os": "linux", "architecture": architecture}}));
    }

    fn write(mut self, directory: &Path) -> PathBuf {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": self.children});
        let index = index.to_string();
        let digest = self.blob(index.as_bytes());
        let listing = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
            {"mediaType": INDEX, "digest": digest, "size": index.len(), "annotations": {
                "io.containerd.image.name": "docker.io/library/app:latest",
                "org.opencontainers.image.ref.name": "latest"}}]});
        let add = |files: &mut Vec<(String, Vec<u8>)>, name: &str, value: &Value| {
            files.push((name.to_owned(), value.to_string().into_bytes()));
        };
        add(&mut self.files, "index.json", &listing);
        add(
            &mut self.files,
            "oci-layout",
            &json!({"imageLayoutVersion": "1.0.0"}),
        );
        if !self.listed.is_empty() {
            add(&mut self.files, "manifest.json", &json!(self.listed));
        }
        let files = self
            .files
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
        let path = directory.join("saved.tar");
        fs::write(&path, tar_of(&files.collect::<Vec<_>>())).unwrap();
        path
    }
}

async fn open(wharf: &Wharf, prefix: &str, path: &Path, part: Part) -> Result<OpenedSource> {
    let text = format!("{prefix}{}", path.display());
    wharf
        .open_local(&LocalPlace::parse(text.as_ref()).unwrap(), part)
        .await
}

/// Copies to memory, and gives the digest of what it has under the tag `1`.
async fn copied(wharf: &Wharf, source: &OpenedSource) -> Result<Digest> {
    let memory = std::sync::Arc::new(Memory::new());
    let store = OpenedStore::new(memory.clone(), "memory", vec!["1".parse().unwrap()]);
    wharf.write(source, &store).await?;
    let at = wharf::oci::Selector::Tag("1".parse().unwrap());
    Ok(memory.resolve(&at).await?.digest)
}

#[tokio::test]
async fn fault_b5_what_manifest_json_names_whole_is_pushed() {
    let place = tempfile::tempdir().unwrap();
    let mut saved = Saved::default();
    let amd64 = saved.there("amd64");
    saved.absent("arm64");
    let path = saved.write(place.path());
    let source = open(&wharf(), "", &path, Part::One).await.unwrap();
    assert_eq!(source.name.as_deref(), Some("docker.io/library/app:latest"));
    assert_eq!(source.tag.as_ref().unwrap().as_str(), "latest");
    // Its digest is that of the registry that it came from.
    assert_eq!(copied(&wharf(), &source).await.unwrap(), amd64);
    for platform in ["linux/amd64", "all"] {
        let source = open(&wharf_for(platform), "oci-archive:", &path, Part::One)
            .await
            .unwrap();
        assert_eq!(copied(&wharf(), &source).await.unwrap(), amd64);
    }
    let error = open(&wharf_for("linux/arm64"), "", &path, Part::One).await;
    let error = copied(&wharf(), &error.unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[tokio::test]
async fn fault_b5_docker_archive_means_manifest_json() {
    let place = tempfile::tempdir().unwrap();
    let mut saved = Saved::default();
    saved.there("amd64");
    saved.absent("arm64");
    let path = saved.write(place.path());
    let source = open(&wharf(), "docker-archive:", &path, Part::One)
        .await
        .unwrap();
    assert!(matches!(source.content, RootContent::Draft(_)));
    assert_eq!(source.name.as_deref(), Some("app:latest"));
    copied(&wharf(), &source).await.unwrap();
}

#[tokio::test]
async fn fault_b5_of_several_images_that_are_there_one_is_chosen_by_platform() {
    let place = tempfile::tempdir().unwrap();
    let mut saved = Saved::default();
    saved.there("amd64");
    let arm64 = saved.there("arm64");
    saved.absent("s390x");
    let path = saved.write(place.path());
    let error = open(&wharf(), "", &path, Part::One).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Ambiguous);
    for part in [
        "linux/s390x absent",
        "--platform",
        "linux/amd64, linux/arm64",
    ] {
        assert!(error.to_string().contains(part), "{error}");
    }
    let source = open(&wharf_for("linux/arm64"), "", &path, Part::One)
        .await
        .unwrap();
    assert_eq!(copied(&wharf(), &source).await.unwrap(), arm64);
}

#[tokio::test]
async fn fault_b5_a_whole_index_fails_before_anything_is_sent_and_names_what_is_absent() {
    let place = tempfile::tempdir().unwrap();
    let mut saved = Saved::default();
    saved.there("amd64");
    let absent = ["arm64", "s390x"].map(|architecture| saved.absent(architecture));
    let path = saved.write(place.path());
    let server = FaultServer::start(push_registry());
    let source = open(&wharf(), "", &path, Part::Whole).await.unwrap();
    let store = std::sync::Arc::new(repository(server.address(), "app"));
    let store = OpenedStore::new(store, "app", vec!["1".parse().unwrap()]);
    let error = wharf()
        .write(&source, &store)
        .await
        .unwrap_err()
        .to_string();
    for digest in &absent {
        assert!(error.contains(&digest.to_string()), "{error}");
    }
    for part in ["2 contents are missing", "(linux/arm64)", "--platform"] {
        assert!(error.contains(part), "{error}");
    }
    let requests = server.requests();
    let mut methods = requests.iter().map(|request| request.method.as_str());
    assert!(methods.all(|method| method == "HEAD" || method == "GET"));
}

#[tokio::test]
async fn fault_c1_the_first_ten_of_what_is_missing_are_named_and_how_many_there_are() {
    let place = tempfile::tempdir().unwrap();
    let mut saved = Saved::default();
    saved.there("amd64");
    saved.listed.clear();
    let children = ["arm64", "s390x"].map(|architecture| saved.absent(architecture));
    let layers: Vec<Value> = (0..11).map(|seed| {
        json!({"mediaType": "text", "size": 100 - seed, "digest": Digest::of(format!("{seed}").as_bytes())})
    }).collect();
    let manifest =
        json!({"schemaVersion": 2, "mediaType": IMAGE, "config": layers[0], "layers": layers});
    let manifest = manifest.to_string();
    let digest = saved.blob(manifest.as_bytes());
    saved.child("riscv64", &digest, manifest.len());
    let path = saved.write(place.path());
    let server = FaultServer::start(push_registry());
    let source = open(&wharf(), "", &path, Part::One).await.unwrap();
    let store = std::sync::Arc::new(repository(server.address(), "app"));
    let store = OpenedStore::new(store, "app", vec!["1".parse().unwrap()]);
    let error = wharf().write(&source, &store).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = error.to_string();
    assert!(
        error.contains("saved.tar: 13 contents are missing: "),
        "{error}"
    );
    assert!(error.contains(", and 3 more"), "{error}");
    for child in &children {
        assert!(error.contains(&format!("manifest {child}")), "{error}");
    }
    let named = layers
        .iter()
        .filter(|layer| error.contains(layer["digest"].as_str().unwrap()));
    assert_eq!(named.count(), 8);
    let requests = server.requests();
    let mut methods = requests.iter().map(|request| request.method.as_str());
    assert!(methods.all(|method| method == "HEAD" || method == "GET"));
}
