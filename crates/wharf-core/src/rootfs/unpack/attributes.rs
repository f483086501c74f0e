//! Owners, modes, times and extended attributes of what was written.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use crate::Result;
use crate::rootfs::LeftOut;
use crate::rootfs::facts::Facts;
use crate::tar_entries::Entry;

/// The key of a record that holds an extended attribute.
const ATTRIBUTE: &[u8] = b"SCHILY.xattr.";

/// The setuid and setgid bits.
const SET_IDS: u32 = 0o6000;

/// Attributes that say something about the file system an image was made on, and would say something
/// else here.
const OF_THE_SYSTEM: [&[u8]; 3] = [b"trusted.overlay.", b"user.overlay.", b"security.selinux"];

/// The attributes of one entry.
#[derive(Clone, Debug)]
pub(super) struct Attributes {
    pub(super) facts: Facts,
    /// Names and values of extended attributes.
    extended: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Sets attributes, as far as this user may.
#[derive(Debug, Default)]
pub(super) struct Setter {
    pub(super) left_out: LeftOut,
}

impl Attributes {
    pub(super) fn of(entry: &Entry) -> Result<Self> {
        let extended = entry.records.iter().filter_map(|(key, value)| {
            let name = key.strip_prefix(ATTRIBUTE)?;
            Some((name.to_vec(), value.to_vec()))
        });
        Ok(Attributes {
            facts: Facts::of(entry)?,
            extended: extended.collect(),
        })
    }

    fn times(&self) -> Timestamps {
        let (seconds, nanos) = self.facts.modified;
        let time = Timespec {
            tv_sec: seconds,
            tv_nsec: nanos.into(),
        };
        Timestamps {
            last_access: time,
            last_modification: time,
        }
    }
}

impl Setter {
    /// Sets those of an open file or directory.
    pub(super) fn open(&mut self, file: impl AsFd, of: &Attributes) -> io::Result<()> {
        let file = file.as_fd();
        // A change of the owner takes the capabilities and the bits of the mode away.
        let owned = rustix::fs::fchown(file, uid(of), gid(of));
        let mode = self.mode(owned, of)?;
        for (name, value) in &of.extended {
            let is_foreign = OF_THE_SYSTEM.iter().any(|own| name.starts_with(own));
            let set = match is_foreign {
                true => Err(Errno::PERM),
                false => {
                    let name = name.as_slice();
                    rustix::fs::fsetxattr(file, name, value, XattrFlags::empty())
                }
            };
            match set {
                Ok(()) => {}
                Err(Errno::PERM | Errno::ACCESS | Errno::NOTSUP | Errno::INVAL) => {
                    self.left_out.attributes += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
        rustix::fs::fchmod(file, mode)?;
        Ok(rustix::fs::futimens(file, &of.times())?)
    }

    /// Sets those of a link, pipe or device, which is not opened.
    pub(super) fn at(
        &mut self,
        directory: BorrowedFd<'_>,
        name: &[u8],
        of: &Attributes,
        has_mode: HasMode,
    ) -> io::Result<()> {
        let itself = AtFlags::SYMLINK_NOFOLLOW;
        let owned = rustix::fs::chownat(directory, name, uid(of), gid(of), itself);
        let mode = self.mode(owned, of)?;
        self.left_out.attributes += of.extended.len() as u64;
        if has_mode == HasMode::Yes {
            // It was made just now, in a directory that only this process uses: it is no link.
            rustix::fs::chmodat(directory, name, mode, AtFlags::empty())?;
        }
        let set = rustix::fs::utimensat(directory, name, &of.times(), itself);
        Ok(set?)
    }

    /// The mode, after it was tried to set the owner.
    fn mode(&mut self, owned: rustix::io::Result<()>, of: &Attributes) -> io::Result<Mode> {
        let mode = of.facts.mode;
        match owned {
            Ok(()) => Ok(Mode::from_raw_mode(mode)),
            Err(Errno::PERM | Errno::INVAL) => {
                self.left_out.owners += 1;
                self.left_out.set_ids += u64::from(mode & SET_IDS != 0);
                Ok(Mode::from_raw_mode(mode & !SET_IDS))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether an entry has a mode of its own; links by name have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HasMode {
    Yes,
    No,
}

fn uid(of: &Attributes) -> Option<Uid> {
    Some(Uid::from_raw(of.facts.uid))
}

fn gid(of: &Attributes) -> Option<Gid> {
    Some(Gid::from_raw(of.facts.gid))
}
