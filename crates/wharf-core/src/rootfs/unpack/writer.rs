//! Writes the entries of a merged tar below a directory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read};
use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use tar::EntryType;

use super::attributes::{Attributes, HasMode, Setter};
use super::beneath::{Beneath, CLOSED};
use crate::rootfs::LeftOut;
use crate::rootfs::names::shown;
use crate::tar_entries::{Entries, Entry};
use crate::{Error, ErrorKind, Result};

/// A new file, and nothing else.
const NEW: OFlags = OFlags::WRONLY
    .union(OFlags::CREATE)
    .union(OFlags::EXCL)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Writes entries below a directory.
pub(super) struct Writer {
    beneath: Beneath,
    setter: Setter,
    directories: Directories,
}

/// The attributes of directories, which are set at the end: what is written into a directory changes
/// its time, and its mode may forbid that. Those that only entries below them imply have none.
type Directories = BTreeMap<Vec<u8>, Option<Attributes>>;

/// The mode of a directory without attributes.
const IMPLIED: Mode = Mode::from_raw_mode(0o755);

/// What is still to be done where the content is in its place: the attributes of the root, and of
/// the directories in it.
pub(super) struct Rest {
    setter: Setter,
    directories: Directories,
}

impl Writer {
    pub(super) fn new(beneath: Beneath) -> Self {
        Writer {
            beneath,
            setter: Setter::default(),
            directories: BTreeMap::new(),
        }
    }

    /// Writes all entries of a tar that the merge wrote: with clean names, each once.
    pub(super) fn write(mut self, tar: impl Read) -> Result<Rest> {
        let mut entries = Entries::new(tar);
        while let Some(mut entry) = entries.next()? {
            let written = self.entry(&mut entry, &mut entries);
            written.map_err(|error| error.target(shown(&entry.name)))?;
        }
        entries.finish()?;
        self.finish()
    }

    fn entry<R: Read>(&mut self, entry: &mut Entry, entries: &mut Entries<R>) -> Result<()> {
        let attributes = Attributes::of(entry)?;
        let (name, link) = (entry.name.clone(), entry.link.clone());
        self.note_parents(&name);
        match entry.kind {
            EntryType::Directory if name == b"." => {
                self.directories.insert(Vec::new(), Some(attributes));
            }
            EntryType::Directory => {
                self.beneath.at(&name, directory)?;
                self.directories.insert(name, Some(attributes));
            }
            EntryType::Regular => {
                let file = self.beneath.at(&name, |folder, last| {
                    Ok(rustix::fs::openat(
                        folder,
                        last,
                        NEW,
                        Mode::RUSR | Mode::WUSR,
                    )?)
                })?;
                let mut file = BufWriter::with_capacity(1 << 16, File::from(file));
                entries.copy(entry, &mut file)?;
                let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
                self.setter.open(&file, &attributes)?;
            }
            EntryType::Symlink => self.beneath.at(&name, |folder, last| {
                rustix::fs::symlinkat(&*link, folder, last)?;
                self.setter.at(folder, last, &attributes, HasMode::No)
            })?,
            EntryType::Link => self.hard_link(&name, &link)?,
            EntryType::Fifo => self.special(&name, FileType::Fifo, &attributes)?,
            EntryType::Char => self.special(&name, FileType::CharacterDevice, &attributes)?,
            EntryType::Block => self.special(&name, FileType::BlockDevice, &attributes)?,
            _ => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    "an unknown kind of entry",
                ));
            }
        }
        Ok(())
    }

    /// Notes directories that may have no entry.
    fn note_parents(&mut self, name: &[u8]) {
        let slashes = name.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        for (slash, _) in slashes {
            let folder = name.get(..slash).unwrap_or_default();
            if !self.directories.contains_key(folder) {
                self.directories.insert(folder.to_vec(), None);
            }
        }
    }

    /// Both names are below the directory, and the second is no link.
    fn hard_link(&mut self, name: &[u8], to: &[u8]) -> Result<()> {
        let target = self.beneath.at(to, |folder, last| {
            Ok((folder.try_clone_to_owned()?, last.to_vec()))
        })?;
        self.beneath.at(name, |folder, last| {
            let (from, own) = &target;
            Ok(rustix::fs::linkat(
                from,
                own.as_slice(),
                folder,
                last,
                AtFlags::empty(),
            )?)
        })?;
        Ok(())
    }

    /// A pipe or device. Devices are for users that may make them.
    fn special(&mut self, name: &[u8], kind: FileType, of: &Attributes) -> Result<()> {
        let (major, minor) = of.facts.device;
        let setter = &mut self.setter;
        self.beneath.at(name, |folder, last| {
            let device = rustix::fs::makedev(major, minor);
            match rustix::fs::mknodat(folder, last, kind, Mode::RUSR, device) {
                Ok(()) => setter.at(folder, last, of, HasMode::Yes),
                Err(Errno::PERM) if kind != FileType::Fifo => {
                    setter.left_out.devices += 1;
                    Ok(())
                }
                Err(error) => Err(error.into()),
            }
        })?;
        Ok(())
    }

    /// Sets the attributes of directories that are not moved any more.
    fn finish(mut self) -> Result<Rest> {
        let directories = std::mem::take(&mut self.directories);
        let (deep, directories) = directories
            .into_iter()
            .partition(|(name, _)| name.contains(&b'/'));
        set_all(&mut self.setter, &self.beneath, &deep)?;
        let setter = self.setter;
        Ok(Rest {
            setter,
            directories,
        })
    }
}

impl Rest {
    /// Sets the attributes in `root`, where the content is now.
    pub(super) fn set(mut self, root: &Beneath, owned: Owned) -> Result<LeftOut> {
        if owned == Owned::Here {
            self.directories.entry(Vec::new()).or_insert(None);
        }
        set_all(&mut self.setter, root, &self.directories)?;
        Ok(self.setter.left_out)
    }
}

/// Which program made the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owned {
    /// This one: it gets the usual mode, if no entry states another.
    Here,
    /// Another one: it keeps its mode then.
    Elsewhere,
}

/// Sets attributes, those of directories below others first.
fn set_all(setter: &mut Setter, root: &Beneath, directories: &Directories) -> Result<()> {
    for (name, attributes) in directories.iter().rev() {
        let set = root.directory(name).and_then(|opened| match attributes {
            Some(attributes) => setter.open(&opened, attributes),
            None => Ok(rustix::fs::fchmod(&opened, IMPLIED)?),
        });
        set.map_err(|error| Error::io(shown(name), error))?;
    }
    Ok(())
}

/// Makes a directory, unless an entry below it did.
fn directory(folder: BorrowedFd<'_>, last: &[u8]) -> io::Result<()> {
    match rustix::fs::mkdirat(folder, last, CLOSED) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) => {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(folder, last, flags, Mode::empty())?;
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}
