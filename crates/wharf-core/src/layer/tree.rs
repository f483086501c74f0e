//! Writes a directory as a tar that depends only on its content and on options.
//!
//! Entries are sorted by the bytes of their paths, without user and group names. Targets of
//! symbolic links are not read. Memory holds the names in the directories from the root to the
//! current one, and the paths of files with several names.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{ErrorKind as Io, Read, Write};
use std::path::{Path, PathBuf};
use std::vec;

use tar::{EntryType, Header};

use super::capability;
use super::facts::{Facts, Kind, facts, name_bytes};
use super::pipe;
use crate::blob::ByteStream;
use crate::{Error, ErrorKind, Result, file};

/// How a directory tree becomes a layer.
///
/// Paths, permissions, contents, symbolic and hard links, and named pipes are always kept, and on
/// Linux the capabilities of files. Sockets are left out, because they mean nothing without their
/// process; devices are an error. Other extended attributes are not kept, and holes in files become
/// zeros.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeOptions {
    /// The owners of all entries.
    pub owners: Owners,
    /// The modification times of all entries.
    pub times: Times,
}

/// The owners of the entries of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owners {
    /// These numbers for all.
    Fixed {
        /// The user.
        uid: u64,
        /// The group.
        gid: u64,
    },
    /// As on disk, by number.
    Kept,
}

/// Root: the user that builds an image does not exist inside it.
impl Default for Owners {
    fn default() -> Self {
        Owners::Fixed { uid: 0, gid: 0 }
    }
}

/// The modification times of the entries of a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Times {
    /// As on disk, in whole seconds.
    #[default]
    Kept,
    /// This time for all, in seconds since 1970, as in `SOURCE_DATE_EPOCH`: a tree that is written
    /// again gives the same layer.
    Fixed(u64),
}

/// Bytes of a name in a header; a longer name precedes it (GNU tar, "././@LongLink").
const NAME: usize = 100;

/// The block size of a tar, in bytes.
const BLOCK: u64 = 512;

/// The tree below `root` as a tar, written by a thread that the stream starts.
pub(super) fn tar(root: PathBuf, options: TreeOptions) -> ByteStream {
    pipe::written_by(move |pipe| {
        let walk = Walk {
            options,
            target: pipe,
            linked: HashMap::new(),
        };
        walk.run(&root)
    })
}

/// A walk through a tree that writes the tar.
struct Walk<'a, W> {
    options: TreeOptions,
    target: &'a mut W,
    /// Files with several names that were found: the first name, and the number of names not found
    /// yet.
    linked: HashMap<(u64, u64), (Vec<u8>, u64)>,
}

/// A directory, and its entries that are still to be visited.
struct Level {
    path: PathBuf,
    /// Its path in the tar, with `/` at its end unless it is the root.
    prefix: Vec<u8>,
    left: vec::IntoIter<Listed>,
}

/// An entry of a directory, in sorting form: directories with `/` at their end.
struct Listed {
    bytes: Vec<u8>,
    name: OsString,
    is_directory: bool,
}

impl<W: Write> Walk<'_, W> {
    fn run(mut self, root: &Path) -> Result<()> {
        // The root itself may be a link, which is followed.
        let is = facts(&fs::metadata(root).map_err(|error| named(root, error))?);
        if is.kind != Kind::Directory {
            return Err(Error::new(ErrorKind::Invalid, "not a directory").target(root.display()));
        }
        let mut levels = vec![list(root.to_owned(), Vec::new())?];
        while let Some(level) = levels.last_mut() {
            let Some(listed) = level.left.next() else {
                levels.pop();
                continue;
            };
            let path = level.path.join(&listed.name);
            let name = [level.prefix.as_slice(), &listed.bytes].concat();
            let is = look(&path)?;
            if listed.is_directory != (is.kind == Kind::Directory) {
                return Err(changed(&path));
            }
            self.entry(&path, &name, &is)?;
            if is.kind == Kind::Directory {
                let level = list(path.clone(), name)?;
                // A directory that became a link meanwhile would list another directory.
                if !look(&path)?.same_file(&is) {
                    return Err(changed(&path));
                }
                levels.push(level);
            }
        }
        self.zeros(2 * BLOCK)
    }

    fn entry(&mut self, path: &Path, name: &[u8], is: &Facts) -> Result<()> {
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
        if !opened.same_file(is) {
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
    fn content(&mut self, reader: &mut impl Read, size: u64, path: &Path) -> Result<()> {
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

    fn header(
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
            _ => is.mode,
        });
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

fn list(path: PathBuf, prefix: Vec<u8>) -> Result<Level> {
    let mut left = Vec::new();
    for entry in fs::read_dir(&path).map_err(|error| named(&path, error))? {
        let entry = entry.map_err(|error| named(&path, error))?;
        let name = entry.file_name();
        let file_type = entry
            .file_type()
            .map_err(|error| named(&entry.path(), error))?;
        let mut bytes = name_bytes(&name).ok_or_else(|| unspeakable(&entry.path()))?;
        if file_type.is_dir() {
            bytes.push(b'/');
        }
        left.push(Listed {
            bytes,
            name,
            is_directory: file_type.is_dir(),
        });
    }
    left.sort_unstable_by(|one, other| one.bytes.cmp(&other.bytes));
    Ok(Level {
        path,
        prefix,
        left: left.into_iter(),
    })
}

/// The metadata of `path` itself, never of a link's target.
fn look(path: &Path) -> Result<Facts> {
    let metadata = fs::symlink_metadata(path).map_err(|error| named(path, error))?;
    Ok(facts(&metadata))
}

fn named(path: &Path, error: std::io::Error) -> Error {
    Error::io(path.display(), error)
}

fn changed(path: &Path) -> Error {
    Error::new(ErrorKind::Io, "changed while it was read").target(path.display())
}

fn unspeakable(path: &Path) -> Error {
    Error::new(ErrorKind::Invalid, "has a name that is not Unicode").target(path.display())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use wharf_oci::Digest;

    use super::*;

    fn write(root: &Path) -> Result<Vec<u8>> {
        write_with(root, &TreeOptions::default())
    }

    fn write_with(root: &Path, options: &TreeOptions) -> Result<Vec<u8>> {
        let mut target = Vec::new();
        let walk = Walk {
            options: options.clone(),
            target: &mut target,
            linked: HashMap::new(),
        };
        walk.run(root)?;
        Ok(target)
    }

    /// Kind, path and link of each entry.
    fn entries(tar: &[u8]) -> Vec<(EntryType, Vec<u8>, Vec<u8>)> {
        let mut archive = tar::Archive::new(tar);
        let read = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let link = entry.link_name_bytes().unwrap_or_default().to_vec();
            (
                entry.header().entry_type(),
                entry.path_bytes().to_vec(),
                link,
            )
        });
        read.collect()
    }

    fn paths(tar: &[u8]) -> Vec<String> {
        let text = |(_, path, _)| String::from_utf8(path).unwrap();
        entries(tar).into_iter().map(text).collect()
    }

    #[test]
    fn entries_are_sorted_by_the_bytes_of_their_paths() {
        let root = tempfile::tempdir().unwrap();
        for directory in ["a/z", "b", "B"] {
            fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        for file in ["a.txt", "a/z/1", "a0", "a/y"] {
            fs::write(root.path().join(file), file).unwrap();
        }
        let tar = write(root.path()).unwrap();
        let sorted = ["B/", "a.txt", "a/", "a/y", "a/z/", "a/z/1", "a0", "b/"];
        assert_eq!(paths(&tar), sorted);
    }

    #[test]
    fn names_of_any_length_and_any_bytes_are_kept() {
        let root = tempfile::tempdir().unwrap();
        let odd = OsStr::from_bytes(b"caf\xe9 \n");
        fs::write(root.path().join(odd), "x").unwrap();
        let mut expected = vec![odd.as_bytes().to_vec()];
        for length in [98, 99, 100, 101, 200] {
            let name = "n".repeat(length);
            symlink("t".repeat(length), root.path().join(&name)).unwrap();
            expected.push(name.into_bytes());
        }
        let found = entries(&write(root.path()).unwrap());
        let names: Vec<_> = found.iter().map(|(_, path, _)| path.clone()).collect();
        assert_eq!(names, expected);
        for (_, path, link) in &found[1..] {
            assert_eq!(link.len(), path.len());
        }
    }

    #[test]
    fn the_bytes_of_a_tree_are_those_of_earlier_versions() {
        let root = tempfile::tempdir().unwrap();
        for length in [99, 100, 101, 300] {
            let directory = root.path().join(format!("d{length:03}"));
            fs::create_dir(&directory).unwrap();
            let names = ["a".repeat(length / 2), "b".repeat(length - length / 2 - 6)];
            let path = directory.join(names.join("-"));
            if length < 250 {
                fs::write(&path, vec![b'x'; 10 * length]).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
            }
            fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
            symlink("../".repeat(length / 3), directory.join("up")).unwrap();
        }
        let options = TreeOptions {
            owners: Owners::default(),
            times: Times::Fixed(1_700_000_000),
        };
        let digest = Digest::of(&write_with(root.path(), &options).unwrap());
        // Another digest here is another layer to push for each user.
        assert_eq!(
            digest.hex(),
            "8d248652ef4d9a97edaf44876df01e73df2a91cd23b8f282a3a7df77e92a6ebc"
        );
    }

    #[test]
    fn links_are_links_and_nothing_behind_them_is_read() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(outside.path().join("secret"), "s").unwrap();
        symlink(outside.path(), root.path().join("away")).unwrap();
        symlink("./a//../nowhere/", root.path().join("broken")).unwrap();
        fs::write(root.path().join("one"), "1").unwrap();
        fs::hard_link(root.path().join("one"), root.path().join("two")).unwrap();
        let found = entries(&write(root.path()).unwrap());
        let away = outside.path().as_os_str().as_bytes().to_vec();
        let expected = [
            (EntryType::Symlink, "away", away),
            (EntryType::Symlink, "broken", b"./a//../nowhere/".to_vec()),
            (EntryType::Regular, "one", Vec::new()),
            (EntryType::Link, "two", b"one".to_vec()),
        ];
        let expected = expected.map(|(kind, path, link)| (kind, path.as_bytes().to_vec(), link));
        assert_eq!(found, expected);
    }

    #[test]
    fn modes_are_kept_and_owners_and_times_as_asked() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("tool");
        fs::write(&path, "x").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o4751)).unwrap();
        let is = look(&path).unwrap();
        let read = |options: &TreeOptions| {
            let tar = write_with(root.path(), options).unwrap();
            let header = Header::from_byte_slice(&tar[..512]).clone();
            assert_eq!(header.username(), Ok(Some("")));
            assert_eq!(header.groupname(), Ok(Some("")));
            assert_eq!(header.mode().unwrap(), 0o4751);
            (
                header.uid().unwrap(),
                header.gid().unwrap(),
                header.mtime().unwrap(),
            )
        };
        assert_eq!(read(&TreeOptions::default()), (0, 0, is.mtime));
        let options = TreeOptions {
            owners: Owners::Fixed {
                uid: 3_000_000,
                gid: 7,
            },
            times: Times::Fixed(1),
        };
        assert_eq!(read(&options), (3_000_000, 7, 1));
        let kept = TreeOptions {
            owners: Owners::Kept,
            times: Times::Kept,
        };
        assert_eq!(read(&kept), (is.uid, is.gid, is.mtime));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn fault_xcaps_capabilities_of_a_file_are_kept() {
        use crate::tar_entries::Records;

        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("ping");
        fs::write(&path, "x").unwrap();
        let plain = write(root.path()).unwrap();
        assert_eq!(plain[156], b'0');
        // cap_net_raw, permitted and effective.
        let capability = [&[1, 0, 0, 2, 0, 0x20][..], &[0; 14]].concat();
        let flags = rustix::fs::XattrFlags::empty();
        if rustix::fs::setxattr(&path, "security.capability", &capability, flags).is_err() {
            eprintln!("skipped: no right to set capabilities here");
            return;
        }
        let tar = write(root.path()).unwrap();
        assert_eq!(tar[156], b'x');
        let size = Header::from_byte_slice(&tar[..512]).size().unwrap();
        let records = Records::parse(&tar[512..][..size as usize]).unwrap();
        let expected = (&b"SCHILY.xattr.security.capability"[..], &capability[..]);
        assert_eq!(records.iter().collect::<Vec<_>>(), [expected]);
        // The entry itself is as without them.
        assert_eq!(tar[1024..], plain);
        assert_eq!(paths(&tar), ["ping"]);
    }

    #[test]
    fn files_may_be_larger_than_eight_gibibytes() {
        let root = tempfile::tempdir().unwrap();
        let is = look(root.path()).unwrap();
        let mut target = Vec::new();
        let mut walk = Walk {
            options: TreeOptions::default(),
            target: &mut target,
            linked: HashMap::new(),
        };
        walk.header(EntryType::Regular, b"large", &[], &is, 9 << 30)
            .unwrap();
        assert_eq!(Header::from_byte_slice(&target).size().unwrap(), 9 << 30);
    }

    #[test]
    fn sockets_are_left_out_and_pipes_are_kept() {
        let root = tempfile::tempdir().unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.path().join("socket")).unwrap();
        let pipe = root.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(pipe).status();
        assert!(made.unwrap().success());
        let found = entries(&write(root.path()).unwrap());
        assert_eq!(found, [(EntryType::Fifo, b"pipe".to_vec(), Vec::new())]);
    }

    #[test]
    fn devices_are_refused_by_name() {
        let mut target = Vec::new();
        let mut walk = Walk {
            options: TreeOptions::default(),
            target: &mut target,
            linked: HashMap::new(),
        };
        let path = Path::new("/dev/null");
        let error = walk.entry(path, b"null", &look(path).unwrap()).unwrap_err();
        assert!(
            error.to_string().starts_with("/dev/null: is a device"),
            "{error}"
        );
    }

    #[test]
    fn a_file_that_grows_or_shrinks_while_it_is_read_is_named() {
        let content = |bytes: &[u8], size| {
            let mut target = Vec::new();
            let mut walk = Walk {
                options: TreeOptions::default(),
                target: &mut target,
                linked: HashMap::new(),
            };
            let mut reader = bytes;
            let done = walk.content(&mut reader, size, Path::new("log"));
            done.map(|()| target.len())
                .map_err(|error| error.to_string())
        };
        assert_eq!(content(b"abc", 3), Ok(512));
        assert_eq!(content(&[1; 512], 512), Ok(512));
        assert_eq!(content(b"", 0), Ok(0));
        let said = content(b"abcd", 3).unwrap_err();
        assert_eq!(said, "log: grew while it was read: it had 3 bytes");
        let said = content(b"ab", 3).unwrap_err();
        assert_eq!(said, "log: shrank while it was read: 2 bytes are left of 3");
    }

    #[test]
    fn what_is_no_directory_is_said_to_be_none() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        fs::write(&path, "x").unwrap();
        let error = write(&path).unwrap_err().to_string();
        assert_eq!(error, format!("{}: not a directory", path.display()));
        let error = write(&root.path().join("none")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}
