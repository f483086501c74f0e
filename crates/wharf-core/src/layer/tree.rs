//! Writes a directory as a tar that depends only on its content and on options.
//!
//! Entries are sorted by the bytes of their paths, without user and group names. Targets of
//! symbolic links are not read. Memory holds the names in the directories from the root to the
//! current one, and the paths of files with several names.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::vec;

use super::facts::{Kind, facts, name_bytes};
use super::pipe;
use super::tree_options::TreeOptions;
use super::tree_writer::{TreeWriter, changed, look, named, unspeakable};
use crate::blob::ByteStream;
use crate::{Error, ErrorKind, Result};

/// The tree below `root` as a tar, written by a thread that the stream starts.
pub(super) fn tar(root: PathBuf, options: TreeOptions) -> ByteStream {
    pipe::written_by(move |pipe| walk(&root, TreeWriter::new(options, pipe)))
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

fn walk<W: Write>(root: &Path, mut writer: TreeWriter<'_, W>) -> Result<()> {
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
        writer.entry(&path, &name, &is)?;
        if is.kind == Kind::Directory {
            let level = list(path.clone(), name)?;
            // A directory that became a link meanwhile would list another directory.
            if !look(&path)?.same_file(&is) {
                return Err(changed(&path));
            }
            levels.push(level);
        }
    }
    writer.end()
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

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use tar::{EntryType, Header};
    use wharf_oci::Digest;

    use super::*;
    use crate::ErrorKind;
    use crate::layer::{Owners, Times};

    fn write(root: &Path) -> Result<Vec<u8>> {
        write_with(root, &TreeOptions::default())
    }

    fn write_with(root: &Path, options: &TreeOptions) -> Result<Vec<u8>> {
        let mut target = Vec::new();
        walk(root, TreeWriter::new(options.clone(), &mut target))?;
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
            times: Times::Fixed(1_700_000_000),
            ..TreeOptions::default()
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
            ..TreeOptions::default()
        };
        assert_eq!(read(&options), (3_000_000, 7, 1));
        let kept = TreeOptions {
            owners: Owners::Kept,
            ..TreeOptions::default()
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
        let mut writer = TreeWriter::new(TreeOptions::default(), &mut target);
        writer
            .header(EntryType::Regular, b"large", &[], &is, 9 << 30)
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
        let mut writer = TreeWriter::new(TreeOptions::default(), &mut target);
        let path = Path::new("/dev/null");
        let error = writer
            .entry(path, b"null", &look(path).unwrap())
            .unwrap_err();
        assert!(
            error.to_string().starts_with("/dev/null: is a device"),
            "{error}"
        );
    }

    #[test]
    fn a_file_that_grows_or_shrinks_while_it_is_read_is_named() {
        let content = |bytes: &[u8], size| {
            let mut target = Vec::new();
            let mut writer = TreeWriter::new(TreeOptions::default(), &mut target);
            let mut reader = bytes;
            let done = writer.content(&mut reader, size, Path::new("log"));
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
