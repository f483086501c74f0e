//! The entries of the file system of an image.

use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt, stream};

use super::acts::{Node, each};
use super::directory::Shape;
use super::facts::Facts;
use super::layer;
use super::root_fs::AT_ONCE;
use super::seen::{Place, Seen, in_layer};
use super::tree::{Base, Tree};
use super::walk::{Look, walk};
use crate::Result;
use crate::image::StoredLayer;
use crate::stream_reader::read_by;
use crate::verify::blocking;

/// An entry of the file system of an image, with all layers applied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileEntry {
    /// Its path below the root, in bytes: names have no encoding. That of the root is empty.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: FileKind,
    /// Permissions with setuid, setgid and sticky.
    pub mode: u32,
    /// The number of its owner.
    pub uid: u32,
    /// The number of its group.
    pub gid: u32,
    /// Bytes of content.
    pub size: u64,
    /// When it was changed, in seconds since 1970.
    pub modified: i64,
    /// The number of its layer, the lowest first from 0.
    pub layer: usize,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// A file.
    File,
    /// Another name of the file with this path.
    HardLink(Vec<u8>),
    /// A directory.
    Directory,
    /// A link by name, with its target as it is written.
    Symlink(Vec<u8>),
    /// A character device with its major and minor number.
    CharDevice(u32, u32),
    /// A block device with its major and minor number.
    BlockDevice(u32, u32),
    /// A pipe.
    Fifo,
}

/// The entries below `path`, which is among them, sorted by their paths. Links on the way to `path`
/// are followed within the root. Directories that only entries below them imply are left out.
///
/// Each layer is read once.
///
/// # Errors
/// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is nothing at `path`;
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if it leads through too many links, and for
/// entries that cannot be in a file system; those of
/// [`StoredLayer::uncompressed`].
pub async fn list(layers: &[StoredLayer], path: &[u8]) -> Result<Vec<FileEntry>> {
    let reading = layers.iter().map(read);
    let mut reading = stream::iter(reading).buffered(AT_ONCE);
    let (mut tree, mut attributes) = (Tree::upon(Base::Nothing), Vec::new());
    for layer in layers {
        let Some((seen, facts)) = reading.try_next().await? else {
            break;
        };
        let applied = blocking(move || tree.apply(&seen).map(|()| tree)).await?;
        tree = applied.map_err(|error| in_layer(&layer.descriptor().digest, error))?;
        attributes.push(facts);
    }
    let path = path.to_vec();
    blocking(move || listed(&tree, &attributes, &path)).await?
}

/// The attributes of an entry, with what it is if it is no directory.
type Attributes = (Facts, FileKind);

async fn read(layer: &StoredLayer) -> Result<(Vec<Seen>, Vec<Attributes>)> {
    let list = |reader| {
        let mut attributes = Vec::new();
        let seen = layer::each(reader, |_, entry, _| {
            let facts = Facts::of(entry)?;
            let (major, minor) = facts.device;
            let kind = match entry.kind {
                tar::EntryType::Char => FileKind::CharDevice(major, minor),
                tar::EntryType::Block => FileKind::BlockDevice(major, minor),
                tar::EntryType::Fifo => FileKind::Fifo,
                _ => FileKind::File,
            };
            attributes.push((facts, kind));
            Ok(())
        })?;
        Ok((seen, attributes))
    };
    let read = read_by(layer.uncompressed().await?, list).await;
    read.map_err(|error| in_layer(&layer.descriptor().digest, error))
}

fn listed(tree: &Tree, attributes: &[Vec<Attributes>], path: &[u8]) -> Result<Vec<FileEntry>> {
    let top = top(tree, path)?;
    let below = [top.as_slice(), b"/"].concat();
    let is_listed =
        |path: &[u8]| top.is_empty() || path == top.as_slice() || path.starts_with(&below);
    let (mut entries, mut firsts) = (Vec::new(), HashMap::new());
    let mut leaves = Vec::new();
    each(tree, &mut |path, node| match node {
        Node::Directory(place) if is_listed(path) => {
            entries.extend(entry(path, place, FileKind::Directory, attributes));
        }
        Node::Directory(_) => {}
        Node::Leaf(leaf) => {
            let first = firsts
                .entry(leaf.inode)
                .or_insert((leaf.place, path.to_vec()));
            if (leaf.place, path) < (first.0, first.1.as_slice()) {
                *first = (leaf.place, path.to_vec());
            }
            if is_listed(path) {
                leaves.push((path.to_vec(), leaf.inode));
            }
        }
    });
    for (path, inode) in leaves {
        let (Some(found), Some((_, first))) = (tree.inodes.get(inode), firsts.get(&inode)) else {
            continue;
        };
        let kind = match &found.shape {
            _ if *first != path => FileKind::HardLink(first.clone()),
            Shape::Symlink(target) => FileKind::Symlink(target.to_vec()),
            _ => of(attributes, found.place).map_or(FileKind::File, |(_, kind)| kind.clone()),
        };
        entries.extend(entry(&path, found.place, kind, attributes));
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

/// The path to list, without links.
fn top(tree: &Tree, path: &[u8]) -> Result<Vec<u8>> {
    let walk = walk(tree, path);
    match walk.look {
        Look::File(_) | Look::Directory | Look::Special => Ok(walk.path.join(&b'/')),
        _ => Err(walk.error(path)),
    }
}

fn of(attributes: &[Vec<Attributes>], place: Place) -> Option<&Attributes> {
    attributes.get(place.layer)?.get(place.entry)
}

fn entry(
    path: &[u8],
    place: Place,
    kind: FileKind,
    attributes: &[Vec<Attributes>],
) -> Option<FileEntry> {
    let (facts, _) = of(attributes, place)?;
    Some(FileEntry {
        path: path.to_vec(),
        kind,
        mode: facts.mode,
        uid: facts.uid,
        gid: facts.gid,
        size: facts.size,
        modified: facts.modified.0,
        layer: place.layer,
    })
}
