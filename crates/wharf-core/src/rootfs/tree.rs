//! What layers leave of each other: names, and which entry of which layer each of them shows.

use std::collections::HashSet;

use super::directory::{Below, Directory, Inode, Leaf, Name, Shape};
use super::names::{self, parts, shown};
use super::seen::{Kind, Place, Seen};
use crate::{Error, ErrorKind, Result};

/// The most links in one path, as in Linux.
pub(super) const MOST_LINKS: usize = 40;

/// The most directories in one path: half of Linux's longest name.
const DEEPEST: usize = names::LONGEST / 2;

/// The most bytes of all names. An entry counts some more.
const MOST_NAMES: usize = 512 << 20;
const OF_AN_ENTRY: usize = 128;

/// What is below the lowest layer of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    Nothing,
    /// Layers that were not read.
    Unknown,
}

/// The file system after some layers.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) root: Directory,
    pub(super) inodes: Vec<Inode>,
    pub(super) layers: usize,
    base: Base,
    /// Whether an entry only implies a directory that may be a link in layers that were not read.
    /// The entry may be elsewhere then.
    is_doubtful: bool,
    names: usize,
}

impl Tree {
    pub(super) fn upon(base: Base) -> Self {
        let below = match base {
            Base::Nothing => Below::Hidden,
            Base::Unknown => Below::Open,
        };
        Tree {
            root: Directory {
                below,
                ..Directory::default()
            },
            inodes: Vec::new(),
            layers: 0,
            base,
            is_doubtful: false,
            names: 0,
        }
    }

    /// Puts a layer upon those before. Whiteouts hide what those have, wherever they stand in the
    /// layer (image-spec: "Whiteouts").
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] with the name of the entry, for one that no file system can have.
    pub(super) fn apply(&mut self, layer: &[Seen]) -> Result<()> {
        let named = |seen: &Seen, error: Error| error.target(shown(&seen.name));
        let stated = Stated::of(layer);
        for seen in layer {
            let hidden = self.hide(&seen.name, &stated);
            hidden.map_err(|error| named(seen, error))?;
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

    /// Whether layers that were not read may have put an entry elsewhere than it is here.
    pub(super) fn is_doubtful(&self) -> bool {
        self.is_doubtful
    }

    fn hide(&mut self, name: &[u8], stated: &Stated) -> Result<()> {
        let parts = parts(name)?;
        let (gone, folder) = match (names::says(&parts), parts.split_last()) {
            (names::Says::Gone(gone), Some((_, folder))) => (Some(gone), folder),
            (names::Says::Opaque, Some((_, folder))) => (None, folder),
            _ => return Ok(()),
        };
        // A path that leads nowhere hides nothing.
        let Ok(folder) = self.real(folder, Some(stated)) else {
            return Ok(());
        };
        let directory = match self.base {
            Base::Nothing => self.directory(&folder),
            Base::Unknown => self.expected(&folder),
        };
        match (directory, gone) {
            (Some(directory), Some(gone)) => directory.hide(gone),
            (Some(directory), None) => directory.clear(),
            (None, _) => {}
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
        let folder = self.real(folder, None)?;
        let inode = match &seen.kind {
            Kind::Directory => {
                self.made(&folder).enter(last).place = Some(place);
                return Ok(());
            }
            Kind::HardLink(target) => self.linked(place, target)?,
            Kind::Symlink(target) => self.new_inode(place, Shape::Symlink(target.clone())),
            Kind::File => self.new_inode(place, Shape::File),
            Kind::Special => self.new_inode(place, Shape::Special),
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

    fn new_inode(&mut self, place: Place, shape: Shape) -> usize {
        self.inodes.push(Inode { place, shape });
        self.inodes.len() - 1
    }

    /// What a hard link to `target` is a name of.
    fn linked(&mut self, place: Place, target: &[u8]) -> Result<usize> {
        let parts = parts(target)?;
        let found = match parts.split_last() {
            Some((last, folder)) => {
                let folder = self.real(folder, None)?;
                self.directory(&folder)
                    .and_then(|directory| directory.leaves.get(*last).copied())
            }
            None => None,
        };
        match (found, self.base) {
            (Some(leaf), _) => Ok(leaf.inode),
            (None, Base::Unknown) => Ok(self.new_inode(place, Shape::Unknown)),
            (None, Base::Nothing) => {
                let message = format!("a hard link to {}, which is no file here", shown(target));
                Err(Error::new(ErrorKind::Invalid, message))
            }
        }
    }

    /// The path of a directory with the links in it followed, which never leave the root. What its
    /// own layer states to be a directory is one.
    fn real(&mut self, folder: &[&[u8]], stated: Option<&Stated>) -> Result<Vec<Name>> {
        let (mut real, mut links) = (Vec::new(), 0);
        for (number, part) in folder.iter().enumerate() {
            let own = folder.get(..=number).unwrap_or_default();
            match stated.is_some_and(|stated| stated.has(own)) {
                true => real.push((*part).into()),
                false => self.follow(&mut real, part, &mut links)?,
            }
        }
        Ok(real)
    }

    /// Adds a part to a path, and follows it if it is a link.
    fn follow(&mut self, real: &mut Vec<Name>, part: &[u8], links: &mut usize) -> Result<()> {
        let mut left: Vec<Name> = vec![part.into()];
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
            let target = match self.step(real) {
                Step::Symlink(target) => target.clone(),
                Step::Known => continue,
                Step::Implied => {
                    self.is_doubtful = true;
                    continue;
                }
            };
            *links += 1;
            if *links > MOST_LINKS {
                let message = format!("more than {MOST_LINKS} links in its path");
                return Err(Error::new(ErrorKind::Invalid, message));
            }
            real.pop();
            if target.starts_with(b"/") {
                real.clear();
            }
            left.extend(target.rsplit(|byte| *byte == b'/').map(Name::from));
        }
        Ok(())
    }

    /// What is at this path, where an entry leads through it.
    fn step(&self, path: &[Name]) -> Step<'_> {
        let Some((last, folder)) = path.split_last() else {
            return Step::Known;
        };
        let mut directory = &self.root;
        for part in folder {
            match directory.directories.get(part) {
                Some(next) => directory = next,
                // The part before decided that.
                None => return Step::Known,
            }
        }
        if directory.directories.contains_key(last) {
            return Step::Known;
        }
        let leaf = directory.leaves.get(last);
        match leaf.and_then(|leaf| self.inodes.get(leaf.inode)) {
            Some(Inode { shape, .. }) => match shape {
                Shape::Symlink(target) => Step::Symlink(target),
                Shape::Unknown => Step::Implied,
                Shape::File | Shape::Special => Step::Known,
            },
            None if directory.hides(last) => Step::Known,
            None => Step::Implied,
        }
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

    /// The directory of this path that lower layers may have; none where there is something else.
    fn expected(&mut self, path: &[Name]) -> Option<&mut Directory> {
        path.iter().try_fold(&mut self.root, |directory, part| {
            match directory.leaves.contains_key(part) || directory.hides(part) {
                true => directory.directories.get_mut(part),
                false => Some(directory.enter(part)),
            }
        })
    }

    /// Bounds memory.
    fn count(&mut self, seen: &Seen) -> Result<()> {
        let link = match &seen.kind {
            Kind::Symlink(target) | Kind::HardLink(target) => target.len(),
            Kind::Directory | Kind::File | Kind::Special => 0,
        };
        self.names += seen.name.len() + link + OF_AN_ENTRY;
        if self.names <= MOST_NAMES {
            return Ok(());
        }
        let message = "the image has more entries than the limit of some 3 million";
        Err(Error::new(ErrorKind::Invalid, message))
    }
}

/// The directories that a layer with whiteouts states.
struct Stated(HashSet<Vec<u8>>);

impl Stated {
    fn of(layer: &[Seen]) -> Self {
        let is_whiteout = |seen: &Seen| {
            let last = seen.name.rsplit(|byte| *byte == b'/').next();
            last.is_some_and(|last| last.starts_with(b".wh."))
        };
        if !layer.iter().any(is_whiteout) {
            return Stated(HashSet::new());
        }
        let directories = layer.iter().filter(|seen| seen.kind == Kind::Directory);
        let names = directories.filter_map(|seen| parts(&seen.name).ok());
        Stated(names.map(|parts| parts.join(&b'/')).collect())
    }

    fn has(&self, parts: &[&[u8]]) -> bool {
        !self.0.is_empty() && self.0.contains(&parts.join(&b'/'))
    }
}

/// What a path has at its end.
enum Step<'a> {
    /// A link by name, and its target.
    Symlink(&'a Name),
    /// Anything else, or nothing.
    Known,
    /// Nothing that says that it is a directory, and layers that were not read may have a link.
    Implied,
}
