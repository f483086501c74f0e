//! OCI image layouts on disk, written from hand-made JSON.
//!
//! The layout is complete and readable after every call. Nothing here uses wharf's own types, so
//! that tests check them against the image specification ("OCI Image Layout").

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::content::{seeded_bytes, sha256_hex, sha512_hex};
use crate::layer::{LayerMedia, LayerSpec};

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// Which family of media types manifests use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// `application/vnd.oci.image.…`
    Oci,
    /// `application/vnd.docker.…`, Docker image manifest version 2, schema 2.
    Docker,
}

/// A blob or manifest of a fixture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Media type.
    pub media_type: String,
    /// `algorithm:hex` of the exact bytes.
    pub digest: String,
    /// Bytes.
    pub size: u64,
}

/// An image of a fixture.
#[derive(Clone, Debug)]
pub struct ImageFixture {
    /// Media type of the manifest.
    pub media_type: String,
    /// Digest of the manifest.
    pub manifest_digest: String,
    /// Bytes of the manifest.
    pub manifest_size: u64,
    /// Digest of the config.
    pub config_digest: String,
    /// Bytes of the config.
    pub config_size: u64,
    /// Digest and size of each layer, lowest first.
    pub layers: Vec<(String, u64)>,
    /// Digest of each layer's uncompressed tar, lowest first.
    pub diff_ids: Vec<String>,
}

impl ImageFixture {
    /// The manifest as content.
    pub fn content(&self) -> Content {
        Content {
            media_type: self.media_type.clone(),
            digest: self.manifest_digest.clone(),
            size: self.manifest_size,
        }
    }
}

/// An entry of an index.
#[derive(Clone, Debug)]
pub struct Child {
    content: Content,
    platform: Option<String>,
}

impl Child {
    /// An image for a platform, `os/architecture` or `os/architecture/variant`.
    pub fn image(image: &ImageFixture, platform: &str) -> Self {
        Self {
            content: image.content(),
            platform: Some(platform.to_owned()),
        }
    }

    /// Anything else: a nested index, an artifact, a plain blob.
    pub fn content(content: &Content) -> Self {
        Self {
            content: content.clone(),
            platform: None,
        }
    }

    /// A descriptor of content that is nowhere in the layout.
    pub fn absent(media_type: &str, seed: u64) -> Self {
        let bytes = seeded_bytes(seed, 64);
        let content = Content {
            media_type: media_type.to_owned(),
            digest: format!("sha256:{}", sha256_hex(&bytes)),
            size: 64,
        };
        Self {
            content,
            platform: None,
        }
    }
}

/// Writes an OCI image layout.
#[derive(Debug)]
pub struct LayoutFixture {
    directory: PathBuf,
    flavour: Flavour,
    unknown_fields: bool,
    sha512: bool,
    entries: Vec<Value>,
}

impl LayoutFixture {
    /// An empty layout in `directory`, which is created.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        let fixture = Self {
            directory: directory.into(),
            flavour: Flavour::Oci,
            unknown_fields: false,
            sha512: false,
            entries: Vec::new(),
        };
        fs::create_dir_all(fixture.directory.join("blobs/sha256")).expect("create the layout");
        fixture.write("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
        fixture.write_index_json();
        fixture
    }

    /// From here on manifests and indexes have this flavour's media types.
    pub fn flavour(&mut self, flavour: Flavour) -> &mut Self {
        self.flavour = flavour;
        self
    }

    /// From here on manifests, indexes and configs carry fields that no specification knows.
    pub fn unknown_fields(&mut self) -> &mut Self {
        self.unknown_fields = true;
        self
    }

    /// From here on configs, manifests and indexes are named by their sha512; layers say it themselves.
    pub fn sha512(&mut self) -> &mut Self {
        self.sha512 = true;
        self
    }

    /// Adds an image for linux/amd64 and lists it in `index.json`, under `tag` if there is one.
    pub fn image(&mut self, tag: Option<&str>, layers: &[LayerSpec]) -> ImageFixture {
        let image = self.child("linux/amd64", layers);
        self.list(tag, &image.content());
        image
    }

    /// Adds an image without listing it in `index.json`: a child for an index.
    pub fn child(&mut self, platform: &str, layers: &[LayerSpec]) -> ImageFixture {
        let config = self.put_json(self.config_type(), &self.config_json(platform, layers));
        let mut sizes = Vec::new();
        let mut descriptors = Vec::new();
        for layer in layers {
            let descriptor = self.put_layer(layer);
            let digest = descriptor["digest"].as_str().unwrap_or_default();
            sizes.push((
                digest.to_owned(),
                descriptor["size"].as_u64().unwrap_or_default(),
            ));
            descriptors.push(descriptor);
        }
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": self.manifest_type(),
            "config": descriptor_json(&config),
            "layers": descriptors,
        });
        let manifest = self.put_json(self.manifest_type(), &manifest);
        ImageFixture {
            media_type: manifest.media_type,
            manifest_digest: manifest.digest,
            manifest_size: manifest.size,
            config_digest: config.digest,
            config_size: config.size,
            layers: sizes,
            diff_ids: layers.iter().map(|layer| layer.diff_id.clone()).collect(),
        }
    }

    /// Adds an index of `children` and lists it in `index.json`, under `tag` if there is one.
    pub fn index(&mut self, tag: Option<&str>, children: &[Child]) -> Content {
        let index = self.child_index(children);
        self.list(tag, &index);
        index
    }

    /// Adds an index without listing it in `index.json`: a nested index.
    pub fn child_index(&mut self, children: &[Child]) -> Content {
        let media_type = match self.flavour {
            Flavour::Oci => OCI_INDEX,
            Flavour::Docker => DOCKER_LIST,
        };
        let manifests: Vec<Value> = children.iter().map(child_json).collect();
        let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": manifests });
        self.put_json(media_type, &index)
    }

    /// Adds a blob of any kind; nothing refers to it yet.
    pub fn blob(&mut self, media_type: &str, bytes: &[u8]) -> Content {
        self.put(media_type, bytes, self.sha512)
    }

    /// Lists content in `index.json`, under `tag` if there is one.
    pub fn list(&mut self, tag: Option<&str>, content: &Content) {
        let mut entry = descriptor_json(content);
        if let Some(tag) = tag {
            entry["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
        }
        self.entries.push(entry);
        self.write_index_json();
    }

    /// The layout's directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The path of the content with this digest.
    pub fn blob_path(&self, digest: &str) -> PathBuf {
        self.directory.join("blobs").join(digest.replace(':', "/"))
    }

    /// The bytes of the content with this digest.
    pub fn read(&self, digest: &str) -> Vec<u8> {
        fs::read(self.blob_path(digest)).expect("read a blob of the layout")
    }

    /// Deletes the content; links to it stay.
    pub fn remove(&self, digest: &str) {
        fs::remove_file(self.blob_path(digest)).expect("remove a blob of the layout");
    }

    /// Changes one byte in the middle of the content; its size stays.
    pub fn corrupt(&self, digest: &str) {
        let mut bytes = self.read(digest);
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(self.blob_path(digest), bytes).expect("write a blob of the layout");
    }

    /// Cuts the content to `len` bytes.
    pub fn truncate(&self, digest: &str, len: u64) {
        let file = File::options().write(true).open(self.blob_path(digest));
        file.and_then(|file| file.set_len(len))
            .expect("truncate a blob of the layout");
    }

    fn put_layer(&self, layer: &LayerSpec) -> Value {
        let media_type = self.layer_type(&layer.media);
        let content = layer
            .bytes
            .as_ref()
            .map(|bytes| self.put(media_type, bytes, layer.sha512));
        let Some(foreign) = &layer.foreign else {
            let content = content.expect("only foreign layers are without content");
            return descriptor_json(&content);
        };
        json!({
            "mediaType": media_type,
            "digest": content.map_or_else(|| foreign.digest.clone(), |content| content.digest),
            "size": foreign.size,
            "urls": [foreign.url],
        })
    }

    fn put_json(&self, media_type: &str, value: &Value) -> Content {
        let mut value = value.clone();
        if self.unknown_fields {
            value["x-unknown"] = json!({ "kept": [1, 2.50, "three", null] });
        }
        // Indented, because a program that serialises it again would not indent it the same way.
        let bytes = serde_json::to_vec_pretty(&value).expect("a value is always JSON");
        self.put(media_type, &bytes, self.sha512)
    }

    fn put(&self, media_type: &str, bytes: &[u8], sha512: bool) -> Content {
        let digest = if sha512 {
            format!("sha512:{}", sha512_hex(bytes))
        } else {
            format!("sha256:{}", sha256_hex(bytes))
        };
        let path = self.blob_path(&digest);
        fs::create_dir_all(path.parent().expect("a blob has a directory"))
            .and_then(|()| fs::write(&path, bytes))
            .expect("write a blob of the layout");
        Content {
            media_type: media_type.to_owned(),
            digest,
            size: bytes.len() as u64,
        }
    }

    fn write_index_json(&self) {
        let index =
            json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": self.entries });
        let bytes = serde_json::to_vec(&index).expect("a value is always JSON");
        self.write("index.json", &bytes);
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.directory.join(name), bytes).expect("write a file of the layout");
    }

    fn config_json(&self, platform: &str, layers: &[LayerSpec]) -> Value {
        let mut config = platform_json(platform);
        let diff_ids: Vec<&str> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
        config["created"] = json!("2023-11-14T22:13:20Z");
        config["config"] = json!({ "Env": ["PATH=/usr/bin:/bin"], "Cmd": ["/bin/sh"] });
        config["rootfs"] = json!({ "type": "layers", "diff_ids": diff_ids });
        config
    }

    fn manifest_type(&self) -> &'static str {
        match self.flavour {
            Flavour::Oci => OCI_MANIFEST,
            Flavour::Docker => DOCKER_MANIFEST,
        }
    }

    fn config_type(&self) -> &'static str {
        match self.flavour {
            Flavour::Oci => "application/vnd.oci.image.config.v1+json",
            Flavour::Docker => "application/vnd.docker.container.image.v1+json",
        }
    }

    fn layer_type<'a>(&self, media: &'a LayerMedia) -> &'a str {
        match (self.flavour, media) {
            (Flavour::Oci, LayerMedia::Tar) => "application/vnd.oci.image.layer.v1.tar",
            (Flavour::Oci, LayerMedia::Gzip) => "application/vnd.oci.image.layer.v1.tar+gzip",
            // Docker has no zstd type of its own: such layers carry the OCI one.
            (_, LayerMedia::Zstd) => "application/vnd.oci.image.layer.v1.tar+zstd",
            (Flavour::Oci, LayerMedia::Foreign) => {
                "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
            }
            (Flavour::Docker, LayerMedia::Tar) => "application/vnd.docker.image.rootfs.diff.tar",
            (Flavour::Docker, LayerMedia::Gzip) => {
                "application/vnd.docker.image.rootfs.diff.tar.gzip"
            }
            (Flavour::Docker, LayerMedia::Foreign) => {
                "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
            }
            (_, LayerMedia::Other(media_type)) => media_type,
        }
    }
}

/// Packs the layout in `directory` into an uncompressed tar at `tar_path`, in order of names.
pub fn tar_layout(directory: &Path, tar_path: &Path) {
    let file = File::create(tar_path).expect("create the tar");
    let mut builder = tar::Builder::new(std::io::BufWriter::new(file));
    builder.mode(tar::HeaderMode::Deterministic);
    for (path, _) in crate::process::files_below(directory) {
        builder
            .append_path_with_name(directory.join(&path), &path)
            .expect("add a file of the layout to the tar");
    }
    let mut file = builder.into_inner().expect("end the tar");
    std::io::Write::flush(&mut file).expect("write the tar");
}

fn descriptor_json(content: &Content) -> Value {
    json!({ "mediaType": content.media_type, "digest": content.digest, "size": content.size })
}

fn child_json(child: &Child) -> Value {
    let mut entry = descriptor_json(&child.content);
    if let Some(platform) = &child.platform {
        entry["platform"] = platform_json(platform);
    }
    entry
}

fn platform_json(platform: &str) -> Value {
    let keys = ["os", "architecture", "variant"];
    let parts = platform.split('/').map(Value::from);
    Value::Object(
        keys.map(str::to_owned)
            .into_iter()
            .zip(parts)
            .collect::<Map<_, _>>(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::Skopeo;

    fn fixture() -> (tempfile::TempDir, LayoutFixture) {
        let directory = tempfile::tempdir().unwrap();
        let layout = LayoutFixture::new(directory.path().join("layout"));
        (directory, layout)
    }

    fn parsed(layout: &LayoutFixture, digest: &str) -> Value {
        serde_json::from_slice(&layout.read(digest)).unwrap()
    }

    #[test]
    fn every_blob_is_named_by_its_digest() {
        let (_directory, mut layout) = fixture();
        layout.image(
            Some("a"),
            &[LayerSpec::random(1, 1000), LayerSpec::zero_length()],
        );
        layout
            .sha512()
            .image(None, &[LayerSpec::zstd(&[("a", b"1")]).sha512()]);
        let files = crate::process::files_below(&layout.directory().join("blobs"));
        assert_eq!(files.len(), 4 + 3);
        for path in files.keys() {
            let bytes = fs::read(layout.directory().join("blobs").join(path)).unwrap();
            let digest = match path.to_str().unwrap().split_once('/').unwrap() {
                ("sha256", hex) => (sha256_hex(&bytes), hex),
                (_, hex) => (sha512_hex(&bytes), hex),
            };
            assert_eq!(digest.0, digest.1);
        }
    }

    #[test]
    fn index_json_lists_what_was_listed_and_no_children() {
        let (_directory, mut layout) = fixture();
        let child = layout.child("linux/arm/v7", &[]);
        let nested = layout.child_index(&[Child::image(&child, "linux/arm/v7")]);
        let index = layout.index(Some("all"), &[Child::content(&nested)]);
        let image = layout.image(None, &[]);
        let listed = fs::read(layout.directory().join("index.json")).unwrap();
        let listed: Value = serde_json::from_slice(&listed).unwrap();
        let entries = listed["manifests"].as_array().unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0]["digest"], index.digest);
        let name = &entries[0]["annotations"]["org.opencontainers.image.ref.name"];
        assert_eq!(name, "all");
        assert_eq!(entries[1]["digest"], image.manifest_digest);
        assert!(entries[1].get("annotations").is_none());
        let platform = &parsed(&layout, &nested.digest)["manifests"][0]["platform"];
        assert_eq!(
            *platform,
            json!({ "os": "linux", "architecture": "arm", "variant": "v7" })
        );
    }

    #[test]
    fn a_foreign_layer_has_urls_and_no_content() {
        let (_directory, mut layout) = fixture();
        let url = "https://example.com/layer";
        let image = layout.image(None, &[LayerSpec::foreign(url)]);
        let manifest = parsed(&layout, &image.manifest_digest);
        assert_eq!(manifest["layers"][0]["urls"], json!([url]));
        assert!(!layout.blob_path(&image.layers[0].0).exists());
        let image = layout.image(None, &[LayerSpec::foreign_with_content(url)]);
        assert!(layout.blob_path(&image.layers[0].0).exists());
    }

    #[test]
    fn docker_manifests_carry_docker_media_types_and_unknown_fields_when_asked() {
        let (_directory, mut layout) = fixture();
        layout.flavour(Flavour::Docker).unknown_fields();
        let image = layout.image(None, &[LayerSpec::gzip(&[("a", b"1")])]);
        let manifest = parsed(&layout, &image.manifest_digest);
        assert_eq!(manifest["mediaType"], DOCKER_MANIFEST);
        let layer = &manifest["layers"][0]["mediaType"];
        assert_eq!(layer, "application/vnd.docker.image.rootfs.diff.tar.gzip");
        assert!(manifest.get("x-unknown").is_some());
    }

    #[test]
    fn damage_is_done_to_one_blob() {
        let (_directory, mut layout) = fixture();
        let image = layout.image(
            None,
            &[LayerSpec::random(1, 100), LayerSpec::random(2, 100)],
        );
        let [(first, size), (second, _)] = image.layers.as_slice() else {
            panic!("two layers");
        };
        let before = layout.read(first);
        layout.corrupt(first);
        assert_eq!(layout.read(first).len() as u64, *size);
        assert_ne!(layout.read(first), before);
        layout.truncate(first, 3);
        assert_eq!(layout.read(first).len(), 3);
        layout.remove(second);
        assert!(!layout.blob_path(second).exists());
    }

    #[test]
    fn skopeo_reads_the_layout_and_its_tar() {
        let Some(skopeo) = Skopeo::find() else { return };
        let (directory, mut layout) = fixture();
        let image = layout.image(Some("one"), &[LayerSpec::gzip(&[("a", b"1")])]);
        let tar = directory.path().join("layout.tar");
        tar_layout(layout.directory(), &tar);
        for reference in [
            format!("oci:{}:one", layout.directory().display()),
            format!("oci-archive:{}:one", tar.display()),
        ] {
            let said = skopeo.inspect(&reference);
            assert_eq!(said["Digest"], image.manifest_digest);
            assert_eq!(said["Layers"], json!([image.layers[0].0]));
        }
    }
}
