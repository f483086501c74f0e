//! What layers leave of each other: names, and which entry of which layer each of them shows.

use std::collections::{BTreeMap, HashMap};

use super::names::{self, parts, shown};
use crate::{Error, ErrorKind, Result};

/// An entry of a layer, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    /// The number of the layer, the lowest first.
    pub(super) layer: usize,
    /// The number of the entry in its layer.
    pub(super) entry: usize,
}

/// An entry as the tree needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) kind: Kind,
    /// As it is written.
    pub(super) name: Box<[u8]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    /// A link by name, and its target.
    Symlink(Box<[u8]>),
    /// Another name of what has this name.
    HardLink(Box<[u8]>),
    /// A file, device or pipe.
    Other,
}

/// What is written for one entry of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// The entry with its content, under this name.
    Own(Vec<u8>),
    /// Another name of what was written under the second.
    Link(Vec<u8>, Vec<u8>),
}

/// What is written of one layer: numbers of entries, ascending, with what is written for them.
pub(super) type Acts = Vec<(usize, Act)>;

/// The most links in one path, as in Linux.
const MOST_LINKS: usize = 40;

/// The most directories in one path: half of Linux's longest name.
const DEEPEST: usize = names::LONGEST / 2;

/// The most bytes of all names. An entry counts some more.
const MOST_NAMES: usize = 512 << 20;
const OF_AN_ENTRY: usize = 128;

/// The file system after some layers.
#[derive(Debug, Default)]
pub(super) struct Tree {
    root: Directory,
    inodes: Vec<Inode>,
    layers: usize,
    names: usize,
}

type Name = Box<[u8]>;

#[derive(Debug, Default)]
struct Directory {
    /// The entry of its attributes. None if only entries below it are there.
    place: Option<Place>,
    directories: BTreeMap<Name, Directory>,
    /// All other names; none is in both.
    leaves: BTreeMap<Name, Leaf>,
}

/// A name of something that is no directory.
#[derive(Clone, Copy, Debug)]
struct Leaf {
    inode: usize,
    /// The entry that gave it this name.
    place: Place,
}

/// What several names may share.
#[derive(Debug)]
struct Inode {
    place: Place,
    /// The target of a link by name.
    symlink: Option<Name>,
}

impl Tree {
    /// Puts a layer upon those before. Whiteouts hide what those have, wherever they stand in the
    /// layer (image-spec: "Whiteouts").
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] with the name of the entry, for one that no file system can have.
    pub(super) fn apply(&mut self, layer: &[Seen]) -> Result<()> {
        let named = |seen: &Seen, error: Error| error.target(shown(&seen.name));
        for seen in layer {
            self.hide(&seen.name).map_err(|error| named(seen, error))?;
        }
        for (entry, seen) in layer.iter().enumerate() {
            let place = Place {
                layer: self.layers,
                entry,
            };
            let put = self.put(place, seen);
            put.map_err(|error| named(seen, error))?;
        }
        self.layers += 1;
        Ok(())
    }

    fn hide(&mut self, name: &[u8]) -> Result<()> {
        let parts = parts(name)?;
        let (gone, folder) = match (names::says(&parts), parts.split_last()) {
            (names::Says::Gone(gone), Some((_, folder))) => (Some(gone), folder),
            (names::Says::Opaque, Some((_, folder))) => (None, folder),
            _ => return Ok(()),
        };
        // A path that leads nowhere hides nothing.
        let folder = self.real(folder).ok();
        let Some(directory) = folder.and_then(|folder| self.directory(&folder)) else {
            return Ok(());
        };
        match gone {
            Some(gone) => directory.remove(gone),
            None => {
                directory.directories.clear();
                directory.leaves.clear();
            }
        }
        Ok(())
    }

    fn put(&mut self, place: Place, seen: &Seen) -> Result<()> {
        let parts = parts(&seen.name)?;
        if names::says(&parts) != names::Says::Entry {
            return Ok(());
        }
        self.count(seen)?;
        let Some((last, folder)) = parts.split_last() else {
            if seen.kind == Kind::Directory {
                self.root.place = Some(place);
            }
            return Ok(());
        };
        let folder = self.real(folder)?;
        let inode = match &seen.kind {
            Kind::Directory => {
                self.made(&folder).enter(last).place = Some(place);
                return Ok(());
            }
            Kind::HardLink(target) => self.linked(target)?,
            Kind::Symlink(target) => self.new_inode(place, Some(target.clone())),
            Kind::Other => self.new_inode(place, None),
        };
        let directory = self.made(&folder);
        // A link to its own name changes nothing.
        let same = directory
            .leaves
            .get(*last)
            .is_some_and(|own| own.inode == inode);
        if !same {
            directory.remove(last);
            directory
                .leaves
                .insert((*last).into(), Leaf { inode, place });
        }
        Ok(())
    }

    fn new_inode(&mut self, place: Place, symlink: Option<Name>) -> usize {
        self.inodes.push(Inode { place, symlink });
        self.inodes.len() - 1
    }

    /// What a hard link to `target` is a name of.
    fn linked(&mut self, target: &[u8]) -> Result<usize> {
        let parts = parts(target)?;
        let found = match parts.split_last() {
            Some((last, folder)) => {
                let folder = self.real(folder)?;
                self.directory(&folder)
                    .and_then(|directory| directory.leaves.get(*last).copied())
            }
            None => None,
        };
        let message = || format!("a hard link to {}, which is no file here", shown(target));
        let found = found.ok_or_else(|| Error::new(ErrorKind::Invalid, message()));
        found.map(|leaf| leaf.inode)
    }

    /// The path of a directory with the links in it followed, which never leave the root.
    fn real(&self, folder: &[&[u8]]) -> Result<Vec<Name>> {
        let mut left: Vec<Name> = folder.iter().rev().map(|part| (*part).into()).collect();
        let (mut real, mut links): (Vec<Name>, _) = (Vec::new(), 0);
        while let Some(part) = left.pop() {
            match &*part {
                b"" | b"." => continue,
                b".." => {
                    real.pop();
                    continue;
                }
                _ => real.push(part),
            }
            if real.len() > DEEPEST {
                let message = format!("more than {DEEPEST} directories deep");
                return Err(Error::new(ErrorKind::Invalid, message));
            }
            let Some(target) = self.symlink(&real) else {
                continue;
            };
            links += 1;
            if links > MOST_LINKS {
                let message = format!("more than {MOST_LINKS} links in its path");
                return Err(Error::new(ErrorKind::Invalid, message));
            }
            real.pop();
            if target.starts_with(b"/") {
                real.clear();
            }
            left.extend(target.rsplit(|byte| *byte == b'/').map(Name::from));
        }
        Ok(real)
    }

    /// The target of the link by name at this path.
    fn symlink(&self, path: &[Name]) -> Option<&Name> {
        let (last, folder) = path.split_last()?;
        let directory = folder.iter().try_fold(&self.root, |directory, part| {
            directory.directories.get(part)
        })?;
        let leaf = directory.leaves.get(last)?;
        self.inodes.get(leaf.inode)?.symlink.as_ref()
    }

    fn directory(&mut self, path: &[Name]) -> Option<&mut Directory> {
        path.iter().try_fold(&mut self.root, |directory, part| {
            directory.directories.get_mut(part)
        })
    }

    /// The directory of this path, made where it is not.
    fn made(&mut self, path: &[Name]) -> &mut Directory {
        path.iter()
            .fold(&mut self.root, |directory, part| directory.enter(part))
    }

    /// Bounds memory.
    fn count(&mut self, seen: &Seen) -> Result<()> {
        let link = match &seen.kind {
            Kind::Symlink(target) | Kind::HardLink(target) => target.len(),
            Kind::Directory | Kind::Other => 0,
        };
        self.names += seen.name.len() + link + OF_AN_ENTRY;
        if self.names <= MOST_NAMES {
            return Ok(());
        }
        let message = "the image has more entries than the limit of some 3 million";
        Err(Error::new(ErrorKind::Invalid, message))
    }

    /// What is written of each layer, the lowest first.
    pub(super) fn acts(&self) -> Vec<Acts> {
        let mut walk = Walk {
            acts: vec![Acts::new(); self.layers],
            names: HashMap::new(),
        };
        walk.directory(&self.root, &mut Vec::new());
        let mut sharing: Vec<_> = std::mem::take(&mut walk.names).into_iter().collect();
        sharing.sort();
        for (inode, names) in sharing {
            if let Some(inode) = self.inodes.get(inode) {
                walk.leaf(inode.place, names);
            }
        }
        // The sort is stable: what has one number stays in its order.
        walk.acts
            .iter_mut()
            .for_each(|acts| acts.sort_by_key(|(entry, _)| *entry));
        walk.acts
    }
}

impl Directory {
    /// The directory of this name, made in the place of anything else.
    fn enter(&mut self, name: &[u8]) -> &mut Directory {
        self.leaves.remove(name);
        self.directories.entry(name.into()).or_default()
    }

    fn remove(&mut self, name: &[u8]) {
        self.leaves.remove(name);
        self.directories.remove(name);
    }
}

/// Collects what is written.
struct Walk {
    acts: Vec<Acts>,
    /// By inode, its names and the entries that gave them.
    names: HashMap<usize, Vec<(Place, Vec<u8>)>>,
}

impl Walk {
    fn directory(&mut self, directory: &Directory, path: &mut Vec<u8>) {
        if let Some(place) = directory.place {
            let name = if path.is_empty() {
                b"."
            } else {
                path.as_slice()
            };
            self.add(place, Act::Own(name.to_vec()));
        }
        let length = path.len();
        let enter = |path: &mut Vec<u8>, name: &[u8]| {
            if length > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(name);
        };
        for (name, below) in &directory.directories {
            enter(path, name);
            self.directory(below, path);
            path.truncate(length);
        }
        for (name, leaf) in &directory.leaves {
            enter(path, name);
            let names = self.names.entry(leaf.inode).or_default();
            names.push((leaf.place, path.clone()));
            path.truncate(length);
        }
    }

    /// The bytes are written where they stand, under the name that was given first; other names
    /// link to it.
    fn leaf(&mut self, place: Place, mut names: Vec<(Place, Vec<u8>)>) {
        names.sort();
        let mut names = names.into_iter();
        let Some((_, first)) = names.next() else {
            return;
        };
        let links: Vec<_> = names.collect();
        self.add(place, Act::Own(first.clone()));
        for (own, name) in links {
            // A link of a higher layer would come before what it is linked to.
            let at = if own.layer == place.layer { own } else { place };
            self.add(at, Act::Link(name, first.clone()));
        }
    }

    fn add(&mut self, place: Place, act: Act) {
        if let Some(acts) = self.acts.get_mut(place.layer) {
            acts.push((place.entry, act));
        }
    }
}
