//! Layers of a few lines, their merge, and what a tar holds.

use std::io::Read;

use bytes::Bytes;
use futures::TryStreamExt;
use tar::{EntryType, Header};
use wharf_oci::{Descriptor, Digest, MediaType};

use super::super::RootFs;
use crate::Result;
use crate::blob::Blob;

/// An entry of a test's layer.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) kind: EntryType,
    pub(super) name: String,
    /// The target of a link, or the content.
    pub(super) text: String,
}

pub(super) fn line(kind: EntryType, name: &str, text: &str) -> Line {
    Line {
        kind,
        name: name.to_owned(),
        text: text.to_owned(),
    }
}

pub(super) fn file(name: &str, text: &str) -> Line {
    line(EntryType::Regular, name, text)
}

pub(super) fn directory(name: &str) -> Line {
    line(EntryType::Directory, name, "")
}

pub(super) fn symlink(name: &str, to: &str) -> Line {
    line(EntryType::Symlink, name, to)
}

pub(super) fn hard_link(name: &str, to: &str) -> Line {
    line(EntryType::Link, name, to)
}

/// A layer; the mode of an entry is its number.
pub(super) fn layer_of(lines: &[Line]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (number, line) in lines.iter().enumerate() {
        let mut header = Header::new_gnu();
        header.set_entry_type(line.kind);
        header.set_mode(u32::try_from(number).unwrap());
        header.set_mtime(0);
        match line.kind {
            EntryType::Symlink | EntryType::Link => {
                header.set_size(0);
                builder
                    .append_link(&mut header, &line.name, &line.text)
                    .unwrap();
            }
            _ => {
                header.set_size(line.text.len() as u64);
                let text = line.text.as_bytes();
                builder.append_data(&mut header, &line.name, text).unwrap();
            }
        }
    }
    builder.into_inner().unwrap()
}

pub(super) fn blob_of(bytes: Vec<u8>) -> Blob {
    let descriptor = Descriptor::new(
        MediaType::OCTET_STREAM,
        Digest::of(&bytes),
        bytes.len() as u64,
    );
    Blob::from_bytes(descriptor, bytes.into())
}

pub(super) async fn merged(layers: &[Vec<u8>]) -> Result<Vec<u8>> {
    let blobs: Vec<Blob> = layers.iter().cloned().map(blob_of).collect();
    let spool = tempfile::tempdir().unwrap();
    let merged = RootFs::merge(&blobs, spool.path()).await?;
    let chunks: Vec<Bytes> = merged.tar().try_collect().await?;
    Ok(chunks.concat())
}

/// What a tar holds: kind, name, target or content, and mode.
pub(super) fn read_back(tar: &[u8]) -> Vec<(EntryType, String, String, u32)> {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let link = entry.link_name_bytes().unwrap_or_default().into_owned();
        let mut text = String::from_utf8(link).unwrap();
        entry.read_to_string(&mut text).unwrap();
        let mode = entry.header().mode().unwrap();
        (entry.header().entry_type(), name, text, mode)
    });
    entries.collect()
}

pub(super) async fn names(layers: &[&[Line]]) -> Vec<String> {
    let layers: Vec<_> = layers.iter().map(|lines| layer_of(lines)).collect();
    let tar = merged(&layers).await.unwrap();
    let shown = |(kind, name, text, _): (EntryType, String, String, u32)| match kind {
        EntryType::Directory => format!("{name}/"),
        EntryType::Regular => format!("{name}={text}"),
        EntryType::Symlink => format!("{name}->{text}"),
        _ => format!("{name}=>{text}"),
    };
    read_back(&tar).into_iter().map(shown).collect()
}
