//! The nodes of the tree: directories, names, and what several names may share.

use std::collections::{BTreeMap, BTreeSet};

use super::seen::Place;

pub(super) type Name = Box<[u8]>;

/// A directory.
#[derive(Debug, Default)]
pub(super) struct Directory {
    /// The entry of its attributes. None if only entries below it are there.
    pub(super) place: Option<Place>,
    pub(super) below: Below,
    /// Names that lower layers do not have here, whatever is in them.
    pub(super) gone: BTreeSet<Name>,
    pub(super) directories: BTreeMap<Name, Directory>,
    /// All other names; none is in both.
    pub(super) leaves: BTreeMap<Name, Leaf>,
}

/// What layers that were not read have in the place of a directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Below {
    /// Nothing, as all were read or something hides them.
    #[default]
    Hidden,
    /// Perhaps more names in it.
    Open,
}

/// A name of something that is no directory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaf {
    pub(super) inode: usize,
    /// The entry that gave it this name.
    pub(super) place: Place,
}

/// What several names may share.
#[derive(Debug)]
pub(super) struct Inode {
    pub(super) place: Place,
    pub(super) shape: Shape,
}

#[derive(Debug)]
pub(super) enum Shape {
    File,
    Special,
    /// A link by name, with its target.
    Symlink(Name),
    /// A layer that was not read has it.
    Unknown,
}

impl Directory {
    /// The directory of this name, made in the place of anything else.
    pub(super) fn enter(&mut self, name: &[u8]) -> &mut Directory {
        let replaces = self.leaves.remove(name).is_some();
        let below = match replaces || self.hides(name) {
            true => Below::Hidden,
            false => Below::Open,
        };
        let made = || Directory {
            below,
            ..Directory::default()
        };
        self.directories.entry(name.into()).or_insert_with(made)
    }

    /// Takes a name away from what was put here, not from lower layers.
    pub(super) fn remove(&mut self, name: &[u8]) {
        self.leaves.remove(name);
        self.directories.remove(name);
    }

    /// Takes a name away, also from lower layers.
    pub(super) fn hide(&mut self, name: &[u8]) {
        self.remove(name);
        if self.below != Below::Hidden {
            self.gone.insert(name.into());
        }
    }

    /// Takes all names away, also from lower layers.
    pub(super) fn clear(&mut self) {
        self.directories.clear();
        self.leaves.clear();
        self.below = Below::Hidden;
        self.gone.clear();
    }

    /// Whether lower layers have nothing of this name.
    pub(super) fn hides(&self, name: &[u8]) -> bool {
        self.below == Below::Hidden || self.gone.contains(name)
    }
}
