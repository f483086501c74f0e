//! Follows a path through the tree, as a process in a container would.

use super::directory::{Directory, Leaf, Name, Shape};
use super::names::shown;
use super::seen::Place;
use super::tree::{MOST_LINKS, Tree};
use crate::{Error, ErrorKind};

/// What a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// A file, with its entry.
    File(Place),
    Directory,
    /// A device or pipe.
    Special,
    Absent,
    /// It leads through too many links.
    Loop,
    /// Layers that were not read decide.
    Unknown,
}

/// A path that was followed.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) look: Look,
    /// As far as it was followed, without links.
    pub(super) path: Vec<Name>,
    /// What comes after that.
    pub(super) rest: Vec<Name>,
    links: usize,
}

/// Follows `path` from the root. Its links and `..` never leave the root.
pub(super) fn walk(tree: &Tree, path: &[u8]) -> Walk {
    let mut walk = Walk {
        look: Look::Unknown,
        path: Vec::new(),
        rest: backwards(path),
        links: 0,
    };
    walk.look = loop {
        if let Some(look) = walk.step(tree) {
            break look;
        }
    };
    walk.rest.reverse();
    walk
}

/// The parts of a path, the last first.
fn backwards(path: &[u8]) -> Vec<Name> {
    let parts = path.rsplit(|byte| *byte == b'/');
    let parts = parts.filter(|part| !matches!(*part, b"" | b"."));
    parts.map(Name::from).collect()
}

/// A path for a message.
pub(super) fn from_root(parts: &[Name]) -> String {
    format!("/{}", shown(&parts.join(&b'/')))
}

impl Walk {
    /// Goes one part further. Returns what is at the end.
    fn step(&mut self, tree: &Tree) -> Option<Look> {
        let Some(folder) = self.folder(tree) else {
            return Some(Look::Absent);
        };
        let Some(part) = self.rest.pop() else {
            return Some(Look::Directory);
        };
        if &*part == b".." {
            self.path.pop();
            return None;
        }
        self.path.push(part.clone());
        if folder.directories.contains_key(&part) {
            return None;
        }
        let Some(leaf) = folder.leaves.get(&part).copied() else {
            return Some(match folder.hides(&part) {
                true => Look::Absent,
                false => Look::Unknown,
            });
        };
        self.leaf(tree, leaf)
    }

    fn leaf(&mut self, tree: &Tree, leaf: Leaf) -> Option<Look> {
        let inode = tree.inodes.get(leaf.inode)?;
        let end = |look| match self.rest.is_empty() {
            true => Some(look),
            false => Some(Look::Absent),
        };
        match &inode.shape {
            Shape::File => end(Look::File(inode.place)),
            Shape::Special => end(Look::Special),
            Shape::Unknown => Some(Look::Unknown),
            Shape::Symlink(_) if self.links == MOST_LINKS => Some(Look::Loop),
            Shape::Symlink(target) => {
                self.links += 1;
                self.path.pop();
                if target.starts_with(b"/") {
                    self.path.clear();
                }
                self.rest.extend(backwards(target));
                None
            }
        }
    }

    /// The directory that it is in.
    fn folder<'a>(&self, tree: &'a Tree) -> Option<&'a Directory> {
        let mut parts = self.path.iter();
        parts.try_fold(&tree.root, |directory, part| {
            directory.directories.get(part)
        })
    }

    /// All parts of the path, those that were not followed too.
    pub(super) fn parts(&self) -> Vec<Name> {
        self.path.iter().chain(&self.rest).cloned().collect()
    }

    /// The error about the path `asked` that has this walk, where it is not what was wanted.
    pub(super) fn error(&self, asked: &[u8]) -> Error {
        let path = from_root(&self.path);
        let mut asked_parts = backwards(asked);
        asked_parts.reverse();
        let asked = from_root(&asked_parts);
        let invalid = |message| Error::new(ErrorKind::Invalid, message);
        match self.look {
            Look::File(_) => invalid(format!("{path} is a file")),
            Look::Directory => invalid(format!("{path} is a directory")),
            Look::Special => invalid(format!("{path} is a device or pipe")),
            Look::Loop => invalid(format!(
                "{asked} leads through more than {MOST_LINKS} links"
            )),
            Look::Absent | Look::Unknown => {
                let there = from_root(&self.parts());
                let message = match asked == there {
                    true => format!("no file {asked}"),
                    false => format!("no file {there}, where {asked} leads"),
                };
                Error::new(ErrorKind::NotFound, message)
            }
        }
    }

    /// Whether no layer below those of `tree` can change the answer.
    pub(super) fn is_certain(&self, tree: &Tree) -> bool {
        self.look != Look::Unknown && !tree.is_doubtful()
    }
}
