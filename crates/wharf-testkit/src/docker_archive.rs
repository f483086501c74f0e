//! Archives as every version of `docker save` writes them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde_json::{Value, json};

use crate::compress::{Kind, compress_bytes};
use crate::content::sha256_hex;
use crate::layer::{LayerFile, regular_header, tar_of};

/// Which kind of archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveStyle {
    /// `manifest.json`, `HEX.json`, `ID/layer.tar`, `repositories`: docker 1.10 to 24.
    Classic,
    /// The same with gzip inside `layer.tar`, as some other tools write.
    ClassicGzip,
    /// Classic, with a layer that occurs again as a symbolic link to `../ID/layer.tar`.
    LegacySymlinks,
    /// An OCI layout with a `manifest.json` beside it, layers as uncompressed tars: docker 25 and newer.
    OciInside,
}

impl ArchiveStyle {
    /// Every kind.
    pub const ALL: [Self; 4] = [
        Self::Classic,
        Self::ClassicGzip,
        Self::LegacySymlinks,
        Self::OciInside,
    ];
}

/// An image to put in an archive.
#[derive(Clone, Debug, Default)]
pub struct DockerImage {
    repo_tags: Vec<String>,
    layers: Vec<Vec<u8>>,
}

impl DockerImage {
    /// An image with these `RepoTags`, `repository:tag` each, and no layers.
    pub fn new(repo_tags: &[&str]) -> Self {
        Self {
            repo_tags: repo_tags.iter().map(|&tag| tag.to_owned()).collect(),
            layers: Vec::new(),
        }
    }

    /// Adds a layer that is a tar of these files.
    pub fn layer(self, files: &[LayerFile<'_>]) -> Self {
        self.layer_bytes(tar_of(files))
    }

    /// Adds a layer that is this tar.
    pub fn layer_bytes(mut self, tar: Vec<u8>) -> Self {
        self.layers.push(tar);
        self
    }
}

/// What was written for an image.
#[derive(Clone, Debug)]
pub struct SavedImage {
    /// Digest of the config.
    pub config_digest: String,
    /// The config's exact bytes.
    pub config: Vec<u8>,
    /// Digest of each uncompressed layer, lowest first.
    pub diff_ids: Vec<String>,
    /// Name of each layer in the archive, as `manifest.json` gives it.
    pub layer_names: Vec<String>,
    /// Digest of the image manifest inside, where the archive is an OCI layout too.
    pub manifest_digest: Option<String>,
}

/// Writes `docker save` archives.
#[derive(Clone, Debug)]
pub struct DockerArchive {
    style: ArchiveStyle,
    images: Vec<DockerImage>,
}

impl DockerArchive {
    /// An archive without images.
    pub fn new(style: ArchiveStyle) -> Self {
        Self {
            style,
            images: Vec::new(),
        }
    }

    /// Adds an image.
    pub fn image(mut self, image: DockerImage) -> Self {
        self.images.push(image);
        self
    }

    /// Writes the archive to `path`; the same archive is the same bytes.
    pub fn write(&self, path: &Path) -> Vec<SavedImage> {
        let mut draft = Draft::default();
        let saved: Vec<SavedImage> = self
            .images
            .iter()
            .map(|image| match self.style {
                ArchiveStyle::OciInside => draft.add_oci(image),
                style => draft.add_classic(image, style),
            })
            .collect();
        draft.finish(self.style);
        let file = File::create(path).expect("create the archive");
        draft.write(BufWriter::new(file));
        saved
    }
}

/// The members of an archive before they are written.
#[derive(Default)]
struct Draft {
    members: BTreeMap<String, Member>,
    manifest: Vec<Value>,
    repositories: BTreeMap<String, BTreeMap<String, String>>,
    index: Vec<Value>,
    /// The name under which a layer with this diff id is in the archive already.
    layers: BTreeMap<String, String>,
}

enum Member {
    File(Vec<u8>),
    Link(String),
}

impl Draft {
    fn add_classic(&mut self, image: &DockerImage, style: ArchiveStyle) -> SavedImage {
        let (config, diff_ids) = config_of(image);
        let hex = sha256_hex(&config);
        let config_name = format!("{hex}.json");
        let mut layer_names = Vec::new();
        let mut id = String::new();
        for (tar, diff_id) in image.layers.iter().zip(&diff_ids) {
            let parent = id;
            // Docker computes its ids from the parent and the layer too.
            id = sha256_hex(format!("{parent} {diff_id}"));
            let name = format!("{id}/layer.tar");
            let member = self.classic_layer(tar, diff_id, &name, style);
            self.members.entry(name.clone()).or_insert(member);
            self.file(&format!("{id}/VERSION"), b"1.0".to_vec());
            self.file(&format!("{id}/json"), legacy_json(&id, &parent));
            layer_names.push(name);
        }
        self.file(&config_name, config.clone());
        self.tag(image, &id);
        self.manifest.push(json!({
            "Config": config_name, "RepoTags": image.repo_tags, "Layers": layer_names,
        }));
        SavedImage {
            config_digest: format!("sha256:{hex}"),
            config,
            diff_ids,
            layer_names,
            manifest_digest: None,
        }
    }

    fn classic_layer(
        &mut self,
        tar: &[u8],
        diff_id: &str,
        name: &str,
        style: ArchiveStyle,
    ) -> Member {
        let first = self
            .layers
            .entry(diff_id.to_owned())
            .or_insert_with(|| name.to_owned());
        match style {
            ArchiveStyle::LegacySymlinks if first != name => Member::Link(format!("../{first}")),
            ArchiveStyle::ClassicGzip => Member::File(compress_bytes(tar, Kind::Gzip)),
            _ => Member::File(tar.to_vec()),
        }
    }

    fn add_oci(&mut self, image: &DockerImage) -> SavedImage {
        let (config, diff_ids) = config_of(image);
        let config_digest = self.blob(&config);
        let layers: Vec<Value> = image
            .layers
            .iter()
            .map(|tar| {
                json!({
                    "mediaType": "application/vnd.oci.image.layer.v1.tar",
                    "digest": self.blob(tar),
                    "size": tar.len(),
                })
            })
            .collect();
        let layer_names: Vec<String> = diff_ids.iter().map(|id| blob_name(id)).collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": config_digest,
                "size": config.len(),
            },
            "layers": layers,
        });
        let manifest = manifest.to_string().into_bytes();
        let manifest_digest = self.blob(&manifest);
        self.list(image, &manifest_digest, manifest.len());
        self.tag(image, config_digest.trim_start_matches("sha256:"));
        self.manifest.push(json!({
            "Config": blob_name(&config_digest), "RepoTags": image.repo_tags, "Layers": layer_names,
        }));
        SavedImage {
            config_digest,
            config,
            diff_ids,
            layer_names,
            manifest_digest: Some(manifest_digest),
        }
    }

    /// Docker lists the manifest once for each name, or once without any.
    fn list(&mut self, image: &DockerImage, digest: &str, size: usize) {
        let entry = json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": digest,
            "size": size,
        });
        if image.repo_tags.is_empty() {
            self.index.push(entry.clone());
        }
        for repo_tag in &image.repo_tags {
            let (_, tag) = split_tag(repo_tag);
            let mut entry = entry.clone();
            entry["annotations"] = json!({
                "io.containerd.image.name": format!("docker.io/library/{repo_tag}"),
                "org.opencontainers.image.ref.name": tag,
            });
            self.index.push(entry);
        }
    }

    fn tag(&mut self, image: &DockerImage, top: &str) {
        for repo_tag in &image.repo_tags {
            let (repository, tag) = split_tag(repo_tag);
            self.repositories
                .entry(repository.to_owned())
                .or_default()
                .insert(tag.to_owned(), top.to_owned());
        }
    }

    fn finish(&mut self, style: ArchiveStyle) {
        self.file("manifest.json", json!(self.manifest).to_string().into());
        self.file("repositories", json!(self.repositories).to_string().into());
        if style == ArchiveStyle::OciInside {
            let index = json!({
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.index.v1+json",
                "manifests": self.index,
            });
            self.file("index.json", index.to_string().into());
            self.file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec());
        }
    }

    fn write(self, target: impl Write) {
        let mut builder = tar::Builder::new(target);
        for (name, member) in self.members {
            match member {
                Member::File(bytes) => {
                    let mut header = regular_header(bytes.len() as u64);
                    builder.append_data(&mut header, name, &bytes[..])
                }
                Member::Link(to) => {
                    let mut header = regular_header(0);
                    header.set_entry_type(tar::EntryType::Symlink);
                    builder.append_link(&mut header, name, to)
                }
            }
            .expect("add a member to the archive");
        }
        let mut target = builder.into_inner().expect("end the archive");
        target.flush().expect("write the archive");
    }

    fn blob(&mut self, bytes: &[u8]) -> String {
        let digest = format!("sha256:{}", sha256_hex(bytes));
        self.file(&blob_name(&digest), bytes.to_vec());
        digest
    }

    fn file(&mut self, name: &str, bytes: Vec<u8>) {
        self.members.insert(name.to_owned(), Member::File(bytes));
    }
}

fn config_of(image: &DockerImage) -> (Vec<u8>, Vec<String>) {
    let diff_ids: Vec<String> = image
        .layers
        .iter()
        .map(|tar| format!("sha256:{}", sha256_hex(tar)))
        .collect();
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "created": "2023-11-14T22:13:20Z",
        // Without it two images of the same layers would be the same image.
        "config": { "Cmd": ["/bin/sh"], "Labels": { "names": image.repo_tags.join(" ") } },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    (config.to_string().into_bytes(), diff_ids)
}

fn legacy_json(id: &str, parent: &str) -> Vec<u8> {
    let mut legacy = json!({ "id": id, "created": "1970-01-01T00:00:00Z" });
    if !parent.is_empty() {
        legacy["parent"] = json!(parent);
    }
    legacy.to_string().into_bytes()
}

fn blob_name(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

fn split_tag(repo_tag: &str) -> (&str, &str) {
    repo_tag.rsplit_once(':').unwrap_or((repo_tag, "latest"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::Skopeo;

    fn write(style: ArchiveStyle) -> (tempfile::TempDir, Vec<SavedImage>) {
        let directory = tempfile::tempdir().unwrap();
        let saved = DockerArchive::new(style)
            .image(
                DockerImage::new(&["app:1", "app:latest"])
                    .layer(&[("base", b"base")])
                    .layer(&[("top", b"1")]),
            )
            .image(
                DockerImage::new(&["other:2"])
                    .layer(&[("below", b"0")])
                    .layer(&[("base", b"base")]),
            )
            .write(&directory.path().join("image.tar"));
        (directory, saved)
    }

    fn links(directory: &Path) -> Vec<(String, String)> {
        let file = File::open(directory.join("image.tar")).unwrap();
        tar::Archive::new(file)
            .entries()
            .unwrap()
            .map(Result::unwrap)
            .filter(|entry| entry.header().entry_type().is_symlink())
            .map(|entry| {
                let target = entry.link_name().unwrap().unwrap();
                (
                    entry.path().unwrap().display().to_string(),
                    target.display().to_string(),
                )
            })
            .collect()
    }

    #[test]
    fn a_repeated_layer_is_a_link_in_the_legacy_style_alone() {
        let (directory, saved) = write(ArchiveStyle::LegacySymlinks);
        let expected = (
            saved[1].layer_names[1].clone(),
            format!("../{}", saved[0].layer_names[0]),
        );
        assert_eq!(links(directory.path()), [expected]);
        let (directory, _) = write(ArchiveStyle::Classic);
        assert_eq!(links(directory.path()), []);
    }

    #[test]
    fn skopeo_reads_every_style_and_every_image() {
        let Some(skopeo) = Skopeo::find() else { return };
        for style in ArchiveStyle::ALL {
            let (directory, saved) = write(style);
            for (tag, image) in [("app:1", &saved[0]), ("other:2", &saved[1])] {
                let archive = directory.path().join("image.tar");
                let reference = format!("docker-archive:{}:{tag}", archive.display());
                let output = skopeo.run(&["inspect", "--config", "--raw", &reference]);
                assert!(output.status.success(), "{style:?} {output:?}");
                assert_eq!(output.stdout, image.config, "{style:?} {tag}");
                let said = skopeo.inspect(&reference);
                assert_eq!(said["Layers"], json!(image.diff_ids), "{style:?} {tag}");
            }
        }
    }

    #[test]
    fn the_newer_style_is_a_layout_too() {
        let (directory, saved) = write(ArchiveStyle::OciInside);
        let file = File::open(directory.path().join("image.tar")).unwrap();
        let inside = directory.path().join("inside");
        tar::Archive::new(file).unpack(&inside).unwrap();
        let index = std::fs::read(inside.join("index.json")).unwrap();
        let index: Value = serde_json::from_slice(&index).unwrap();
        let digests: Vec<_> = index["manifests"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["digest"].as_str().unwrap().to_owned())
            .collect();
        let first = saved[0].manifest_digest.clone().unwrap();
        let second = saved[1].manifest_digest.clone().unwrap();
        assert_eq!(digests, [first.clone(), first, second]);
        for digest in digests {
            let bytes = std::fs::read(inside.join(blob_name(&digest))).unwrap();
            assert_eq!(format!("sha256:{}", sha256_hex(bytes)), digest);
        }
    }
}
