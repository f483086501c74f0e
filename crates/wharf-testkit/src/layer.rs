//! Layers to build images from: real tars, plain or compressed, and the odd kinds.

use crate::compress::{Kind, compress_bytes};
use crate::content::{seeded_bytes, sha256_hex};

/// A file in a layer: path and content.
pub type LayerFile<'a> = (&'a str, &'a [u8]);

/// What a layer of a fixture is made of.
#[derive(Clone, Debug)]
pub struct LayerSpec {
    pub(crate) media: LayerMedia,
    /// `None` for a layer without content on disk.
    pub(crate) bytes: Option<Vec<u8>>,
    /// Of the uncompressed tar.
    pub(crate) diff_id: String,
    pub(crate) foreign: Option<Foreign>,
    pub(crate) sha512: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Foreign {
    pub(crate) url: String,
    pub(crate) digest: String,
    pub(crate) size: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum LayerMedia {
    Tar,
    Gzip,
    Zstd,
    Foreign,
    Other(String),
}

impl LayerSpec {
    /// An uncompressed tar with these files.
    pub fn tar(files: &[LayerFile<'_>]) -> Self {
        let tar = tar_of(files);
        Self::new(LayerMedia::Tar, sha256_of(&tar), tar)
    }

    /// A gzip-compressed tar with these files.
    pub fn gzip(files: &[LayerFile<'_>]) -> Self {
        let tar = tar_of(files);
        let compressed = compress_bytes(&tar, Kind::Gzip);
        Self::new(LayerMedia::Gzip, sha256_of(&tar), compressed)
    }

    /// A zstd-compressed tar with these files.
    pub fn zstd(files: &[LayerFile<'_>]) -> Self {
        let tar = tar_of(files);
        let compressed = compress_bytes(&tar, Kind::Zstd);
        Self::new(LayerMedia::Zstd, sha256_of(&tar), compressed)
    }

    /// A gzip-compressed tar of one incompressible file of `len` bytes.
    pub fn random(seed: u64, len: usize) -> Self {
        Self::gzip(&[(&format!("random-{seed}"), &seeded_bytes(seed, len))])
    }

    /// Any bytes under any media type; its diff id is the digest of the same bytes.
    pub fn bytes(media_type: &str, bytes: &[u8]) -> Self {
        let media = LayerMedia::Other(media_type.to_owned());
        Self::new(media, sha256_of(bytes), bytes.to_vec())
    }

    /// A blob of no bytes at all, as an uncompressed tar layer.
    pub fn zero_length() -> Self {
        Self::new(LayerMedia::Tar, sha256_of(b""), Vec::new())
    }

    /// A non-distributable layer that names `url` as its place; its content is not in the fixture.
    pub fn foreign(url: &str) -> Self {
        let bytes = seeded_bytes(0xf0, 512);
        let foreign = Foreign {
            url: url.to_owned(),
            digest: sha256_of(&bytes),
            size: bytes.len() as u64,
        };
        Self {
            media: LayerMedia::Foreign,
            bytes: None,
            diff_id: foreign.digest.clone(),
            foreign: Some(foreign),
            sha512: false,
        }
    }

    /// A non-distributable layer that names `url` as its place, with its content in the fixture
    /// too.
    pub fn foreign_with_content(url: &str) -> Self {
        Self {
            bytes: Some(seeded_bytes(0xf0, 512)),
            ..Self::foreign(url)
        }
    }

    /// The same layer, named by its sha512.
    pub fn sha512(self) -> Self {
        Self {
            sha512: true,
            ..self
        }
    }

    fn new(media: LayerMedia, diff_id: String, bytes: Vec<u8>) -> Self {
        Self {
            media,
            bytes: Some(bytes),
            diff_id,
            foreign: None,
            sha512: false,
        }
    }
}

/// A tar with these files, owned by 0:0, mode 644, from the year 2023; the same bytes for the same files.
pub fn tar_of(files: &[LayerFile<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = regular_header(content.len() as u64);
        builder
            .append_data(&mut header, path, *content)
            .expect("add a file to a tar in memory");
    }
    builder.into_inner().expect("end a tar in memory")
}

/// A header with everything that would differ between two runs fixed.
pub(crate) fn regular_header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1_700_000_000);
    header
}

fn sha256_of(bytes: &[u8]) -> String {
    format!("sha256:{}", sha256_hex(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tar_holds_its_files_and_repeats_byte_for_byte() {
        let files: [LayerFile<'_>; 2] = [("etc/motd", b"hello\n"), ("empty", b"")];
        let bytes = tar_of(&files);
        assert_eq!(bytes, tar_of(&files));
        let mut archive = tar::Archive::new(&bytes[..]);
        let paths: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(paths, ["etc/motd", "empty"]);
    }

    #[test]
    fn a_compressed_layer_keeps_the_diff_id_of_its_tar() {
        let files: [LayerFile<'_>; 1] = [("a", b"1")];
        let plain = LayerSpec::tar(&files);
        let zipped = LayerSpec::gzip(&files);
        assert_eq!(plain.diff_id, zipped.diff_id);
        assert_ne!(plain.bytes, zipped.bytes);
    }
}
