//! Writes the entries of a tar that depends only on files and on options.
//!
//! Entries have no user and group names. Targets of symbolic links are not read. Memory holds the
//! paths of files with several names.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{ErrorKind as Io, Read, Write};
use std::path::Path;

use tar::{EntryType, Header};

use super::capability;
use super::facts::{Facts, Kind, facts, name_bytes};
use super::tree_options::{Owners, Times, TreeOptions};
use crate::{Error, ErrorKind, Result, file};

/// Bytes of a name in a header; a longer name precedes it (GNU tar, "././@LongLink").
const NAME: usize = 100;

/// The block size of a tar, in bytes.
const BLOCK: u64 = 512;

/// Writes a tar.
pub(super) struct TreeWriter<'a, W> {
    options: TreeOptions,
    target: &'a mut W,
    /// Files with several names that were found: the first name, and the number of names not found
    /// yet.
    linked: HashMap<(u64, u64), (Vec<u8>, u64)>,
}

impl<'a, W: Write> TreeWriter<'a, W> {
    pub(super) fn new(options: TreeOptions, target: &'a mut W) -> Self {
        TreeWriter {
            options,
            target,
            linked: HashMap::new(),
        }
    }

    /// Writes the end of the tar.
    pub(super) fn end(mut self) -> Result<()> {
        self.zeros(2 * BLOCK)
    }

    /// Writes an entry for a file of any kind that a tar can hold.
    pub(super) fn entry(&mut self, path: &Path, name: &[u8], is: &Facts) -> Result<()> {
        match is.kind {
            Kind::Directory => self.header(EntryType::Directory, name, &[], is, 0),
            Kind::Fifo => self.header(EntryType::Fifo, name, &[], is, 0),
            Kind::Symlink => {
                let link = fs::read_link(path).map_err(|error| named(path, error))?;
                let link = name_bytes(link.as_os_str()).ok_or_else(|| unspeakable(path))?;
                self.header(EntryType::Symlink, name, &link, is, 0)
            }
            Kind::Socket => {
                tracing::warn!(path = %path.display(), "socket left out of the layer");
                Ok(())
            }
            Kind::Device => {
                let message = "is a device, which a layer made of a directory cannot contain";
                Err(Error::new(ErrorKind::Unsupported, message).target(path.display()))
            }
            Kind::File => match self.other_name(name, is) {
                Some(first) => self.header(EntryType::Link, name, &first, is, 0),
                None => self.file(path, name, is),
            },
        }
    }

    /// Writes a directory that is not on disk. It belongs to root.
    pub(super) fn parent(&mut self, name: &[u8], mode: u32) -> Result<()> {
        let mut header = Header::new_gnu();
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(match self.options.times {
            Times::Kept => 0,
            Times::Fixed(time) => time,
        });
        header.set_mode(mode);
        self.put(header, EntryType::Directory, name, &[], 0)
    }

    /// An earlier name of a file.
    fn other_name(&mut self, name: &[u8], is: &Facts) -> Option<Vec<u8>> {
        if is.names < 2 {
            return None;
        }
        let Some((first, left)) = self.linked.get_mut(&is.identity) else {
            let others = is.names - 1;
            self.linked.insert(is.identity, (name.to_vec(), others));
            return None;
        };
        *left = left.saturating_sub(1);
        let (first, left) = (first.clone(), *left);
        if left == 0 {
            self.linked.remove(&is.identity);
        }
        Some(first)
    }

    fn file(&mut self, path: &Path, name: &[u8], is: &Facts) -> Result<()> {
        let mut file = File::open(path).map_err(|error| named(path, error))?;
        let opened = facts(&file.metadata().map_err(|error| named(path, error))?);
        if !opened.same_content(is) {
            return Err(changed(path));
        }
        if let Some(capability) = capability::of(&file).map_err(|error| named(path, error))? {
            self.before(EntryType::XHeader, &capability::records(&capability))?;
        }
        self.header(EntryType::Regular, name, &[], &opened, opened.size)?;
        self.content(&mut file, opened.size, path)?;
        let after = facts(&file.metadata().map_err(|error| named(path, error))?);
        if after.same_content(&opened) {
            return Ok(());
        }
        Err(changed(path))
    }

    /// Writes exactly `size` bytes. Fails if more follow.
    pub(super) fn content(&mut self, reader: &mut impl Read, size: u64, path: &Path) -> Result<()> {
        let mut buffer = vec![0; file::CHUNK.min(usize::try_from(size).unwrap_or(file::CHUNK) + 1)];
        let mut seen = 0;
        loop {
            let read = match reader.read(&mut buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == Io::Interrupted => continue,
                Err(error) => return Err(named(path, error)),
            };
            seen += read as u64;
            if seen > size {
                let message = format!("grew while it was read: it had {size} bytes");
                return Err(Error::new(ErrorKind::Io, message).target(path.display()));
            }
            if read == 0 {
                break;
            }
            self.write(buffer.get(..read).unwrap_or_default())?;
        }
        if seen < size {
            let message = format!("shrank while it was read: {seen} bytes are left of {size}");
            return Err(Error::new(ErrorKind::Io, message).target(path.display()));
        }
        self.zeros(size.next_multiple_of(BLOCK) - size)
    }

    pub(super) fn header(
        &mut self,
        kind: EntryType,
        name: &[u8],
        link: &[u8],
        is: &Facts,
        size: u64,
    ) -> Result<()> {
        let mut header = Header::new_gnu();
        let (uid, gid) = match self.options.owners {
            Owners::Fixed { uid, gid } => (uid, gid),
            Owners::Kept => (is.uid, is.gid),
        };
        header.set_uid(uid);
        header.set_gid(gid);
        header.set_mtime(match self.options.times {
            Times::Kept => is.mtime,
            Times::Fixed(time) => time,
        });
        header.set_mode(match kind {
            // Systems disagree on the permissions of links, and ignore them.
            EntryType::Symlink => 0o777,
            _ => self.options.modes.of(is.kind, is.mode),
        });
        self.put(header, kind, name, link, size)
    }

    /// Writes a header with a name, after what does not fit into it.
    fn put(
        &mut self,
        mut header: Header,
        kind: EntryType,
        name: &[u8],
        link: &[u8],
        size: u64,
    ) -> Result<()> {
        header.set_entry_type(kind);
        header.set_size(size);
        self.long(EntryType::GNULongLink, link)?;
        self.long(EntryType::GNULongName, name)?;
        fill(&mut header.as_old_mut().name, name);
        fill(&mut header.as_old_mut().linkname, link);
        header.set_cksum();
        self.write(header.as_bytes())
    }

    /// Writes a name that does not fit into the following header.
    fn long(&mut self, kind: EntryType, name: &[u8]) -> Result<()> {
        if name.len() < NAME {
            return Ok(());
        }
        // The name ends with a zero.
        self.before(kind, &[name, b"\0"].concat())
    }

    /// Writes an entry that describes the following one.
    fn before(&mut self, kind: EntryType, content: &[u8]) -> Result<()> {
        let size = content.len() as u64;
        let mut header = Header::new_gnu();
        fill(&mut header.as_old_mut().name, b"././@LongLink");
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_cksum();
        self.write(header.as_bytes())?;
        self.write(content)?;
        self.zeros(size.next_multiple_of(BLOCK) - size)
    }

    fn zeros(&mut self, count: u64) -> Result<()> {
        const ZEROS: [u8; 2 * BLOCK as usize] = [0; 2 * BLOCK as usize];
        let count = usize::try_from(count).unwrap_or(ZEROS.len());
        self.write(ZEROS.get(..count).unwrap_or(&ZEROS))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.target.write_all(bytes)?)
    }
}

/// As much of `bytes` as fits, with a zero after it.
fn fill(field: &mut [u8; NAME], bytes: &[u8]) {
    for (slot, byte) in field.iter_mut().take(NAME - 1).zip(bytes) {
        *slot = *byte;
    }
}

/// The metadata of `path` itself, never of a link's target.
pub(super) fn look(path: &Path) -> Result<Facts> {
    let metadata = fs::symlink_metadata(path).map_err(|error| named(path, error))?;
    Ok(facts(&metadata))
}

pub(super) fn named(path: &Path, error: std::io::Error) -> Error {
    Error::io(path.display(), error)
}

pub(super) fn changed(path: &Path) -> Error {
    Error::new(ErrorKind::Io, "changed while it was read").target(path.display())
}

pub(super) fn unspeakable(path: &Path) -> Error {
    Error::new(ErrorKind::Invalid, "has a name that is not Unicode").target(path.display())
}
