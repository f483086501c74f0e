//! Layers and images in memory, and what is read of them.

use std::io::Write;
use std::sync::Arc;

use serde_json::{Value, json};
use wharf_oci::{Descriptor, Digest, ImageConfig, Manifest, MediaType};

use super::super::{EditedImage, StoredImage};
use crate::store::{Memory, Names, Source, Store};
use crate::{Error, Result};

/// An entry of a tar.
#[derive(Clone, Copy)]
pub(super) enum Item<'a> {
    File(&'a str, &'a [u8]),
    Folder(&'a str),
    Symlink(&'a str, &'a str),
    HardLink(&'a str, &'a str),
    Pipe(&'a str),
}

pub(super) use Item::{File, Folder, HardLink, Pipe, Symlink};

pub(super) fn tar_of(items: &[Item<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for item in items {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o640);
        header.set_size(0);
        let kind = match item {
            File(..) => tar::EntryType::Regular,
            Folder(_) => tar::EntryType::Directory,
            Symlink(..) => tar::EntryType::Symlink,
            HardLink(..) => tar::EntryType::Link,
            Pipe(_) => tar::EntryType::Fifo,
        };
        header.set_entry_type(kind);
        match *item {
            File(path, bytes) => {
                header.set_size(bytes.len() as u64);
                builder.append_data(&mut header, path, bytes).unwrap();
            }
            Folder(path) | Pipe(path) => {
                builder.append_data(&mut header, path, &[][..]).unwrap();
            }
            Symlink(path, target) | HardLink(path, target) => {
                builder.append_link(&mut header, path, target).unwrap();
            }
        }
    }
    builder.into_inner().unwrap()
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(bytes, 1).unwrap()
}

/// A layer: its media type, its stored bytes, and its diff id.
pub(super) type Made = (MediaType, Vec<u8>, Digest);

pub(super) fn plain(items: &[Item<'_>]) -> Made {
    let tar = tar_of(items);
    let diff_id = Digest::of(&tar);
    (MediaType::OCI_LAYER, tar, diff_id)
}

pub(super) fn packed(items: &[Item<'_>]) -> Made {
    let tar = tar_of(items);
    let diff_id = Digest::of(&tar);
    (MediaType::OCI_LAYER_GZIP, gzip(&tar), diff_id)
}

/// An image of these layers, the lowest first.
pub(super) async fn image_of(layers: Vec<Made>) -> StoredImage {
    let memory = Memory::new();
    let diff_ids: Vec<Digest> = layers.iter().map(|layer| layer.2.clone()).collect();
    let config = json!({
        "os": "linux",
        "architecture": "amd64",
        "config": { "Env": ["A=b"] },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
        "history": diff_ids.iter().map(|_| json!({ "created_by": "test" })).collect::<Vec<_>>(),
    });
    let config = memory.add_blob(MediaType::OCI_IMAGE_CONFIG, config.to_string());
    let stored: Vec<Descriptor> = layers
        .into_iter()
        .map(|(media_type, bytes, _)| memory.add_blob(media_type, bytes))
        .collect();
    stored_image(memory, &config, &stored).await
}

pub(super) async fn stored_image(
    memory: Memory,
    config: &Descriptor,
    layers: &[Descriptor],
) -> StoredImage {
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_IMAGE_MANIFEST,
        "config": config,
        "layers": layers,
    });
    let manifest = Manifest::parse(None, document.to_string().into()).unwrap();
    memory
        .put_manifest(&manifest, Names::Root(&[]))
        .await
        .unwrap();
    StoredImage::new(Arc::new(memory), manifest).unwrap()
}

/// The content of a file, and its path after links.
pub(super) async fn read(image: &StoredImage, path: &str) -> Result<(String, String)> {
    let file = image.file(path).await?;
    let found = file.path().to_owned();
    let bytes = file.read_all(1 << 30).await?;
    Ok((found, String::from_utf8(bytes.to_vec()).unwrap()))
}

pub(super) async fn content(image: &StoredImage, path: &str) -> String {
    read(image, path).await.unwrap().1
}

pub(super) async fn failure(image: &StoredImage, path: &str) -> Error {
    read(image, path).await.unwrap_err()
}

/// Copies an image, and returns the manifest and the config that the store has then.
pub(super) async fn copied(image: EditedImage) -> (Manifest, ImageConfig, Value) {
    let (source, store) = (Arc::clone(image.source()), Memory::new());
    let root = crate::copy::Root {
        content: image.into(),
        tags: Vec::new(),
    };
    let options = crate::CopyOptions::default();
    let copied = crate::copy::copy(source.as_ref(), &store, &[root], &options).await;
    let root = copied.unwrap().roots[0].clone();
    let manifest = store.manifest(&root).await.unwrap();
    let made = StoredImage::new(Arc::new(store), manifest.clone()).unwrap();
    let bytes = made.config_bytes().await.unwrap();
    let raw = serde_json::from_slice(&bytes).unwrap();
    (manifest, made.config().await.unwrap(), raw)
}
