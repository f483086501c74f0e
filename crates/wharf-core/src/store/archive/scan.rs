//! One pass over the headers of a tar: finds the place of each file, without reading any content.
//!
//! Names are only keys of a map: a path of an archive is never joined to a path on disk.

use std::collections::HashMap;
use std::fs::File;

use bytes::Bytes;
use tar::{EntryType, Header};

use crate::file::read_exactly_at;
use crate::sniff::{is_tar, not_a_tar};
use crate::tar_entries::{self, Extension, is_sparse, malformed, truncated};
use crate::{Error, ErrorKind, Result};

const BLOCK: u64 = tar_entries::BLOCK as u64;

/// More entries than any image archive has, but few enough for memory.
const MOST_ENTRIES: usize = 1_000_000;

/// The kind of a path in the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TarEntry {
    /// A file of `length` bytes at `offset` of the archive.
    File { offset: u64, length: u64 },
    /// A link to another path of the archive.
    Link {
        /// As it is written, without the slash before an absolute path.
        target: String,
        base: Base,
    },
}

/// Where the target of a link is looked up from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// The folder of the link.
    Folder,
    /// The root of the archive, for hard links and absolute paths.
    Root,
}

/// Finds every file and link of the tar in `file`, which has `length` bytes. The last entry of a
/// name counts, as when a tar is unpacked. `name` is for errors. Blocking.
pub(super) fn scan(file: &File, length: u64, name: &str) -> Result<HashMap<String, TarEntry>> {
    let mut scan = Scan {
        file,
        length,
        position: 0,
        entries: HashMap::new(),
    };
    scan.run().map_err(|error| error.target(name))?;
    Ok(scan.entries)
}

struct Scan<'a> {
    file: &'a File,
    length: u64,
    position: u64,
    entries: HashMap<String, TarEntry>,
}

impl Scan<'_> {
    fn run(&mut self) -> Result<()> {
        if self.length == 0 {
            return Err(Error::new(ErrorKind::Invalid, "file is empty"));
        }
        let mut extension = Extension::default();
        for _ in 0..MOST_ENTRIES {
            let at = self.position;
            let Some(block) = self.header()? else {
                return Ok(());
            };
            let header = Header::from_byte_slice(&block);
            let kind = header.entry_type();
            let own = header.entry_size().map_err(|error| malformed(at, error))?;
            let is_extension = Extension::is(kind);
            let size = match is_extension {
                true => own,
                false => extension.stored(at, kind, own)?,
            };
            let content = self.skip(at, size)?;
            if is_extension {
                extension.add(at, kind, size, || self.read(content, size))?;
            } else {
                self.enter(header, &std::mem::take(&mut extension), content, size, at)?;
            }
        }
        Err(Error::new(
            ErrorKind::Invalid,
            format!("tar has more than {MOST_ENTRIES} entries"),
        ))
    }

    /// The next header, or `None` at the block of zeros that ends a tar.
    fn header(&mut self) -> Result<Option<Bytes>> {
        let at = self.position;
        let left = self.length.saturating_sub(at);
        let block = self.read(at, left.min(BLOCK))?;
        if block.len() as u64 == BLOCK && block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        if is_tar(&block) {
            self.position += BLOCK;
            return Ok(Some(block));
        }
        if at == 0 {
            return Err(not_a_tar(&block));
        }
        if left < BLOCK {
            return Err(truncated(format!(
                "the file ends at offset {} without the end mark of a tar",
                self.length
            )));
        }
        Err(malformed(at, "not a valid tar header"))
    }

    /// Skips `size` bytes of content, padded to whole blocks. Returns their start.
    fn skip(&mut self, at: u64, size: u64) -> Result<u64> {
        let content = self.position;
        let end = content.checked_add(size);
        if end.is_none_or(|end| end > self.length) {
            return Err(truncated(format!(
                "entry at offset {at} has {size} bytes, but the file ends at offset {}",
                self.length
            )));
        }
        // The file may end within the padding; the missing end mark is detected there.
        self.position = content + size.div_ceil(BLOCK) * BLOCK;
        Ok(content)
    }

    fn enter(
        &mut self,
        header: &Header,
        extension: &Extension,
        content: u64,
        size: u64,
        at: u64,
    ) -> Result<()> {
        let kind = header.entry_type();
        let path = extension.name(header);
        if kind.is_gnu_sparse() || extension.records.iter().any(|(key, _)| is_sparse(key)) {
            let path = String::from_utf8_lossy(&path);
            let said = format!("entry {} at offset {at} is sparse", path.escape_debug());
            return Err(Error::new(ErrorKind::Unsupported, said));
        }
        let Some(path) = normal(below_root(&path)) else {
            return Ok(());
        };
        let target = extension.link(header);
        let entry = match kind {
            EntryType::Regular | EntryType::Continuous => Some(TarEntry::File {
                offset: content,
                length: size,
            }),
            EntryType::Symlink => Some(link(&target, Base::Folder)),
            EntryType::Link => Some(link(&target, Base::Root)),
            _ => None,
        };
        match entry {
            Some(entry) => self.entries.insert(path, entry),
            None => self.entries.remove(&path),
        };
        Ok(())
    }

    fn read(&self, offset: u64, length: u64) -> Result<Bytes> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        read_exactly_at(self.file, offset, length)
            .map_err(|error| Error::io(format_args!("offset {offset}"), error))
    }
}

/// An absolute path begins at the root of the archive.
fn link(target: &[u8], base: Base) -> TarEntry {
    let target = String::from_utf8_lossy(target);
    match target.strip_prefix('/') {
        Some(absolute) => TarEntry::Link {
            target: absolute.to_owned(),
            base: Base::Root,
        },
        None => TarEntry::Link {
            target: target.into_owned(),
            base,
        },
    }
}

/// The path of a member without the slashes before it: the archive is its own root, as for `tar -x`.
fn below_root(path: &[u8]) -> &[u8] {
    let slashes = path.iter().take_while(|byte| **byte == b'/').count();
    path.get(slashes..).unwrap_or_default()
}

/// `path` without `.`, `..` and doubled slashes. `None` if it is absolute, leaves the archive,
/// names its root, or is not UTF-8: no file that is looked up has such a path.
fn normal(path: &[u8]) -> Option<String> {
    if path.starts_with(b"/") {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    let path = std::str::from_utf8(path).ok()?;
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn scan_bytes(bytes: &[u8]) -> Result<HashMap<String, TarEntry>> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        scan(&file, bytes.len() as u64, "x.tar")
    }

    fn header(kind: EntryType, path: &str, size: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_path(path).unwrap();
        header.set_size(size);
        header.set_cksum();
        header
    }

    /// Entries as they are, padded and with an end mark.
    fn tar_of(entries: &[(Header, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (header, content) in entries {
            bytes.extend_from_slice(header.as_bytes());
            bytes.extend_from_slice(content);
            bytes.resize(bytes.len().next_multiple_of(512), 0);
        }
        bytes.resize(bytes.len() + 1024, 0);
        bytes
    }

    fn file(offset: u64, length: u64) -> TarEntry {
        TarEntry::File { offset, length }
    }

    fn link_to(target: &str, base: Base) -> TarEntry {
        let target = target.to_owned();
        TarEntry::Link { target, base }
    }

    #[test]
    fn finds_files_and_links_where_they_lie() {
        let mut symbolic = header(EntryType::Symlink, "a/b", 0);
        symbolic.set_link_name("../c/./d").unwrap();
        symbolic.set_cksum();
        let mut hard = header(EntryType::Link, "h", 99);
        hard.set_link_name("c/d").unwrap();
        hard.set_cksum();
        let bytes = tar_of(&[
            (header(EntryType::Directory, "c/", 0), b""),
            (header(EntryType::Regular, "./c//d", 3), b"abc"),
            (symbolic, b""),
            (hard, b""),
            (header(EntryType::Regular, "last", 0), b""),
        ]);
        let entries = scan_bytes(&bytes).unwrap();
        assert_eq!(entries.len(), 4);
        assert_eq!(entries["c/d"], file(1024, 3));
        assert_eq!(entries["a/b"], link_to("../c/d", Base::Folder));
        assert_eq!(entries["h"], link_to("c/d", Base::Root));
        assert_eq!(entries["last"], file(3072, 0));
    }

    #[test]
    fn takes_long_names_of_both_kinds_and_pax_sizes() {
        let long = "n/".repeat(150) + "end";
        let gnu = format!("{long}\0");
        let record = format!("path={long}2\n");
        // Three digits, a space, the record: the length counts itself.
        let pax = format!("{} {record}9 size=2\n", record.len() + 4);
        let bytes = tar_of(&[
            (
                header(EntryType::GNULongName, "l", gnu.len() as u64),
                gnu.as_bytes(),
            ),
            (header(EntryType::Regular, "short", 1), b"x"),
            (
                header(EntryType::XHeader, "p", pax.len() as u64),
                pax.as_bytes(),
            ),
            (header(EntryType::Regular, "short", 0), b"yz"),
        ]);
        let entries = scan_bytes(&bytes).unwrap();
        assert_eq!(entries.len(), 2, "{entries:?}");
        assert_eq!(entries[&long], file(1536, 1));
        assert_eq!(entries[&format!("{long}2")], file(3584, 2));
    }

    #[test]
    fn paths_that_leave_the_archive_are_found_under_no_name() {
        assert_eq!(normal(b"../../etc/passwd"), None);
        assert_eq!(normal(b"a/../../b"), None);
        assert_eq!(normal(b"/etc/passwd"), None);
        assert_eq!(normal(b"./"), None);
        assert_eq!(normal(b"\xff"), None);
        assert_eq!(normal(b"a/b/../c").as_deref(), Some("a/c"));
    }

    #[test]
    fn fault_xroot_members_with_absolute_names_lie_below_the_root_of_the_archive() {
        let absolute = |name: &[u8], size| {
            let mut header = header(EntryType::Regular, "x", size);
            header.as_old_mut().name[..name.len()].copy_from_slice(name);
            header.set_cksum();
            header
        };
        let bytes = tar_of(&[
            (absolute(b"/manifest.json", 2), b"[]"),
            (absolute(b"//a/../b", 1), b"b"),
            (absolute(b"/../../etc/passwd", 1), b"p"),
            (absolute(b"/", 0), b""),
        ]);
        let entries = scan_bytes(&bytes).unwrap();
        assert_eq!(entries["manifest.json"], file(512, 2));
        assert_eq!(entries["b"], file(1536, 1));
        assert_eq!(entries.len(), 2, "{entries:?}");
    }

    #[test]
    fn says_at_which_offset_a_tar_is_broken() {
        let good = (header(EntryType::Regular, "a", 1), &b"x"[..]);
        let large = (header(EntryType::Regular, "b", u64::MAX >> 1), &b""[..]);
        let error = scan_bytes(&tar_of(&[good.clone(), large])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(
            error.to_string().contains("entry at offset 1024"),
            "{error}"
        );

        let mut bytes = tar_of(&[good.clone(), good]);
        bytes[1024] ^= 1;
        let error = scan_bytes(&bytes).unwrap_err();
        assert!(
            error.to_string().contains("malformed tar at offset 1024"),
            "{error}"
        );
    }

    #[test]
    fn refuses_sparse_entries_of_both_kinds_and_endless_names() {
        let gnu = [(header(EntryType::GNUSparse, "s", 0), &b""[..])];
        let pax = [
            (
                header(EntryType::XHeader, "p", 22),
                &b"22 GNU.sparse.major=1\n"[..],
            ),
            (header(EntryType::Regular, "s", 0), b""),
        ];
        for entries in [&gnu[..], &pax] {
            let error = scan_bytes(&tar_of(entries)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        }
        let name = vec![b'n'; 2 << 20];
        let endless = [(header(EntryType::GNULongName, "l", 2 << 20), &name[..])];
        let error = scan_bytes(&tar_of(&endless)).unwrap_err();
        assert!(error.to_string().contains("extended header"), "{error}");
    }

    #[test]
    fn fault_c4_a_limit_is_said_to_be_one_and_not_damage() {
        let records = vec![b' '; (1 << 20) + 1];
        let length = records.len() as u64;
        let entries = [(header(EntryType::XHeader, "p", length), &records[..])];
        let error = scan_bytes(&tar_of(&entries)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(
            error.to_string(),
            "x.tar: extended header at offset 0 has 1048577 bytes, more than the limit of 1048576 \
             bytes"
        );
    }

    proptest! {
        #[test]
        fn whatever_the_bytes_every_file_found_lies_inside(
            kind in prop::sample::select(&b"\0 0127LKxgS5"[..]),
            size in any::<u64>(),
            flips in prop::collection::vec((0usize..2048, any::<u8>()), 0..4),
        ) {
            let first = header(EntryType::new(kind), "a/b", size >> (size % 64));
            let mut bytes = tar_of(&[(first, b"some"), (header(EntryType::Regular, "c", 4), b"more")]);
            for (at, flip) in flips {
                bytes[at] ^= flip;
            }
            for entry in scan_bytes(&bytes).into_iter().flat_map(HashMap::into_values) {
                if let TarEntry::File { offset, length } = entry {
                    prop_assert!(offset + length <= bytes.len() as u64);
                }
            }
        }
    }
}
