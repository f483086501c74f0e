//! A large, real image: this machine's own programs, libraries and documents.
//!
//! The files are only read. Files that are not readable by all users are left out, so nothing
//! private gets into an image.

use std::fs::{self, File, FileType};
use std::io::{self, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use crate::content::{HashingWriter, sha256_hex};
use crate::layer::regular_header;

/// Each layer is made of one of these directories below the root; the small ones leave room for the rest.
const GROUPS: [&str; 5] = ["etc", "usr/sbin", "usr/share", "usr/bin", "usr/lib"];

/// The same image as an OCI layout (gzip layers) and as a `docker save` archive (plain layers).
#[derive(Clone, Debug)]
pub struct RootfsImage {
    /// Directory with the OCI layout, which lists the image as `latest`.
    pub layout: PathBuf,
    /// The docker archive, which names the image `rootfs:latest`.
    pub archive: PathBuf,
    /// Digest of the layout's manifest.
    pub manifest_digest: String,
    /// Digest of the config, the same in both.
    pub config_digest: String,
    /// Digest and size of the layout's layers, lowest first.
    pub layers: Vec<(String, u64)>,
    /// Digest of each uncompressed layer, lowest first.
    pub diff_ids: Vec<String>,
    /// Bytes of all uncompressed layers.
    pub uncompressed_size: u64,
}

impl RootfsImage {
    /// Builds both below `directory` from this machine's root file system, with at most `max_bytes` of
    /// uncompressed layers. Nothing larger than a buffer is held in memory.
    pub fn build(directory: &Path, max_bytes: u64) -> Self {
        Self::build_from(Path::new("/"), directory, max_bytes)
    }

    /// Like [`RootfsImage::build`], from the root file system below `root`.
    pub fn build_from(root: &Path, directory: &Path, max_bytes: u64) -> Self {
        build(root, directory, max_bytes).expect("build an image of the root file system")
    }
}

/// A layer on disk, once as it is and once compressed among the layout's blobs.
struct BuiltLayer {
    plain: File,
    plain_size: u64,
    diff_id: String,
    digest: String,
    size: u64,
}

fn build(root: &Path, directory: &Path, max_bytes: u64) -> io::Result<RootfsImage> {
    let layout = directory.join("layout");
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    let mut layers = Vec::new();
    let mut left = max_bytes;
    for (done, group) in GROUPS.iter().enumerate() {
        // The unused share of a small directory goes to the later ones.
        let share = left / (GROUPS.len() - done) as u64;
        let Some(layer) = build_layer(root, group, &blobs, share)? else {
            continue;
        };
        left = left.saturating_sub(layer.plain_size);
        layers.push(layer);
    }
    let diff_ids: Vec<String> = layers.iter().map(|layer| layer.diff_id.clone()).collect();
    let config = config_json(&diff_ids);
    let manifest_digest = finish_layout(&layout, &config, &layers)?;
    let archive = directory.join("image.tar");
    write_archive(&archive, &config, &mut layers)?;
    Ok(RootfsImage {
        layout,
        archive,
        manifest_digest,
        config_digest: format!("sha256:{}", sha256_hex(&config)),
        uncompressed_size: layers.iter().map(|layer| layer.plain_size).sum(),
        layers: layers
            .into_iter()
            .map(|layer| (layer.digest, layer.size))
            .collect(),
        diff_ids,
    })
}

/// `None` when there is nothing to put in the layer.
fn build_layer(
    root: &Path,
    group: &str,
    blobs: &Path,
    max_bytes: u64,
) -> io::Result<Option<BuiltLayer>> {
    let compressed = tempfile::NamedTempFile::new_in(blobs)?;
    let gzip = GzEncoder::new(
        HashingWriter::new(BufWriter::new(compressed)),
        Compression::new(1),
    );
    let plain = BufWriter::new(tempfile::tempfile_in(blobs)?);
    let tee = Tee(HashingWriter::new(plain), gzip);
    let mut tar = LayerTar {
        builder: tar::Builder::new(tee),
        // The end of a tar takes two blocks.
        left: max_bytes.saturating_sub(2 * 512),
        entries: 0,
    };
    tar.add_tree(root, Path::new(group))?;
    if tar.entries == 0 {
        return Ok(None);
    }
    let Tee(plain, gzip) = tar.builder.into_inner()?;
    let (plain, diff_id, plain_size) = plain.finish();
    let (compressed, digest, size) = gzip.finish()?.finish();
    let compressed = compressed.into_inner()?;
    compressed
        .persist(blobs.join(digest.trim_start_matches("sha256:")))
        .map_err(|error| error.error)?;
    Ok(Some(BuiltLayer {
        plain: plain.into_inner()?,
        plain_size,
        diff_id,
        digest,
        size,
    }))
}

struct LayerTar<W: Write> {
    builder: tar::Builder<W>,
    left: u64,
    entries: u64,
}

impl<W: Write> LayerTar<W> {
    /// Adds the entry at `path` below `root` and everything below it, in order of names.
    fn add_tree(&mut self, root: &Path, path: &Path) -> io::Result<()> {
        // Files may vanish or be unreadable; both are skipped.
        let Ok(metadata) = fs::symlink_metadata(root.join(path)) else {
            return Ok(());
        };
        let cost = cost(path, metadata.len(), metadata.file_type());
        let readable = mode_of(&metadata) & 0o004 != 0;
        if cost > self.left || !readable {
            return Ok(());
        }
        let added = if metadata.is_dir() {
            self.add_directory(path)?
        } else if metadata.is_symlink() {
            self.add_link(root, path)?
        } else if metadata.is_file() {
            self.add_file(root, path, &metadata)?
        } else {
            false
        };
        if added {
            self.entries += 1;
            self.left -= cost;
        }
        if metadata.is_dir() {
            self.add_children(root, path)?;
        }
        Ok(())
    }

    fn add_children(&mut self, root: &Path, path: &Path) -> io::Result<()> {
        let Ok(entries) = fs::read_dir(root.join(path)) else {
            return Ok(());
        };
        let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        names
            .iter()
            .try_for_each(|name| self.add_tree(root, &path.join(name)))
    }

    fn add_directory(&mut self, path: &Path) -> io::Result<bool> {
        let mut header = regular_header(0);
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o755);
        let name = path.join("");
        self.builder.append_data(&mut header, name, io::empty())?;
        Ok(true)
    }

    fn add_link(&mut self, root: &Path, path: &Path) -> io::Result<bool> {
        let Ok(target) = fs::read_link(root.join(path)) else {
            return Ok(false);
        };
        let mut header = regular_header(0);
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_mode(0o777);
        self.builder.append_link(&mut header, path, target)?;
        Ok(true)
    }

    fn add_file(&mut self, root: &Path, path: &Path, metadata: &fs::Metadata) -> io::Result<bool> {
        let Ok(file) = File::open(root.join(path)) else {
            return Ok(false);
        };
        let mut header = regular_header(metadata.len());
        header.set_mode(mode_of(metadata) & 0o777);
        // A file that shrinks meanwhile is filled up: its size is in the header already.
        let content = file.chain(io::repeat(0)).take(metadata.len());
        self.builder.append_data(&mut header, path, content)?;
        Ok(true)
    }
}

/// The most bytes of an entry in a tar: header, long names and link targets, content in whole
/// blocks.
fn cost(path: &Path, len: u64, kind: FileType) -> u64 {
    let name = if path.as_os_str().len() < 100 {
        0
    } else {
        1024 + 4096
    };
    let target = if kind.is_symlink() && len >= 100 {
        1024 + 4096
    } else {
        0
    };
    let content = if kind.is_file() {
        len.next_multiple_of(512)
    } else {
        0
    };
    512 + name + target + content
}

#[cfg(unix)]
fn mode_of(metadata: &fs::Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions())
}

#[cfg(not(unix))]
fn mode_of(_metadata: &fs::Metadata) -> u32 {
    0o755
}

fn config_json(diff_ids: &[String]) -> Vec<u8> {
    let config = json!({
        "architecture": std::env::consts::ARCH.replace("x86_64", "amd64").replace("aarch64", "arm64"),
        "os": "linux",
        "config": { "Cmd": ["/bin/sh"] },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    config.to_string().into_bytes()
}

fn finish_layout(layout: &Path, config: &[u8], layers: &[BuiltLayer]) -> io::Result<String> {
    let layers: Vec<_> = layers
        .iter()
        .map(|layer| {
            json!({
                "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                "digest": layer.digest,
                "size": layer.size,
            })
        })
        .collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": format!("sha256:{}", sha256_hex(config)),
            "size": config.len(),
        },
        "layers": layers,
    });
    let manifest = manifest.to_string();
    let digest = sha256_hex(&manifest);
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": format!("sha256:{digest}"),
            "size": manifest.len(),
            "annotations": { "org.opencontainers.image.ref.name": "latest" },
        }],
    });
    let blobs = layout.join("blobs/sha256");
    fs::write(blobs.join(sha256_hex(config)), config)?;
    fs::write(blobs.join(&digest), &manifest)?;
    fs::write(layout.join("index.json"), index.to_string())?;
    fs::write(
        layout.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )?;
    Ok(format!("sha256:{digest}"))
}

fn write_archive(path: &Path, config: &[u8], layers: &mut [BuiltLayer]) -> io::Result<()> {
    let mut builder = tar::Builder::new(BufWriter::new(File::create(path)?));
    let mut names = Vec::new();
    for layer in layers {
        let name = format!("{}/layer.tar", layer.diff_id.trim_start_matches("sha256:"));
        layer.plain.rewind()?;
        builder.append_data(&mut regular_header(layer.plain_size), &name, &layer.plain)?;
        names.push(name);
    }
    let config_name = format!("{}.json", sha256_hex(config));
    let manifest = json!([{
        "Config": config_name, "RepoTags": ["rootfs:latest"], "Layers": names,
    }]);
    let manifest = manifest.to_string();
    for (name, bytes) in [
        (config_name.as_str(), config),
        ("manifest.json", manifest.as_bytes()),
    ] {
        builder.append_data(&mut regular_header(bytes.len() as u64), name, bytes)?;
    }
    builder.into_inner()?.flush()
}

/// Writes everything to both.
struct Tee<A, B>(A, B);

impl<A: Write, B: Write> Write for Tee<A, B> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(bytes)?;
        self.1.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()?;
        self.1.flush()
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::peers::Skopeo;

    fn small_root() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("usr/bin")).unwrap();
        fs::create_dir_all(root.path().join("etc/deep")).unwrap();
        fs::write(root.path().join("usr/bin/tool"), vec![7; 100_000]).unwrap();
        fs::write(root.path().join("etc/public"), b"public").unwrap();
        fs::write(root.path().join("etc/secret"), b"secret").unwrap();
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(root.path().join("etc/secret"), private).unwrap();
        symlink("../public", root.path().join("etc/deep/link")).unwrap();
        root
    }

    fn names(image: &RootfsImage, layer: usize) -> Vec<String> {
        let name = image.layers[layer].0.replace(':', "/");
        let file = File::open(image.layout.join("blobs").join(name)).unwrap();
        tar::Archive::new(flate2::read::GzDecoder::new(file))
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect()
    }

    #[test]
    fn layers_hold_files_links_and_directories_and_nothing_private() {
        let (root, target) = (small_root(), tempfile::tempdir().unwrap());
        let image = RootfsImage::build_from(root.path(), target.path(), 10_000_000);
        assert_eq!(image.layers.len(), 2);
        assert_eq!(names(&image, 1), ["usr/bin/", "usr/bin/tool"]);
        assert_eq!(
            names(&image, 0),
            ["etc/", "etc/deep/", "etc/deep/link", "etc/public"]
        );
    }

    #[test]
    fn the_cap_holds_and_the_bytes_repeat() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = RootfsImage::build(one.path(), 3_000_000);
        let second = RootfsImage::build(two.path(), 3_000_000);
        assert!(first.uncompressed_size <= 3_000_000);
        assert!(first.uncompressed_size > 500_000);
        assert_eq!(first.manifest_digest, second.manifest_digest);
    }

    #[test]
    fn skopeo_reads_both_and_they_have_the_same_config() {
        let Some(skopeo) = Skopeo::find() else { return };
        let target = tempfile::tempdir().unwrap();
        let image = RootfsImage::build(target.path(), 3_000_000);
        let layout = format!("oci:{}:latest", image.layout.display());
        assert_eq!(skopeo.inspect(&layout)["Digest"], image.manifest_digest);
        let archive = format!("docker-archive:{}:rootfs:latest", image.archive.display());
        let config = skopeo
            .run(&["inspect", "--config", "--raw", &archive])
            .stdout;
        assert_eq!(
            format!("sha256:{}", sha256_hex(config)),
            image.config_digest
        );
        // A copy decompresses every layer and compares it with the config's diff ids.
        let copy = format!("dir:{}", target.path().join("copy").display());
        let output = skopeo.run(&["copy", &archive, &copy]);
        assert!(output.status.success(), "{output:?}");
    }
}
