//! The files of a scanned tar, by name. Follows links within the tar.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;

use super::scan::{self, Base, TarEntry};
use super::unpack::Unpacked;
use crate::file::read_exactly_at;
use crate::sniff::{ENOUGH, Packing};
use crate::store::files::{Files, Region};
use crate::{Error, ErrorKind, Result};

/// The most links to follow for a path; a cycle exceeds any number.
const MOST_LINKS: usize = 16;

/// The most bytes of a JSON document in an archive.
pub(super) const MOST_DOCUMENT: u64 = 8 << 20;

/// A scanned tar.
#[derive(Debug)]
pub(super) struct Members {
    file: Arc<File>,
    name: String,
    entries: HashMap<String, TarEntry>,
}

impl Members {
    /// Scans the tar. Blocking.
    pub(super) fn scan(unpacked: Unpacked) -> Result<Members> {
        let Unpacked { file, length, name } = unpacked;
        let entries = scan::scan(&file, length, &name)?;
        Ok(Members {
            file: Arc::new(file),
            name,
            entries,
        })
    }

    /// Whether `path` exists, as a file or a link.
    pub(super) fn has(&self, path: &str) -> bool {
        self.entries.contains_key(path)
    }

    /// All of a small file, or `None` if there is none. Blocking.
    pub(super) fn document(&self, path: &str) -> Result<Option<Bytes>> {
        let Some(region) = self.find(path)? else {
            return Ok(None);
        };
        if region.length > MOST_DOCUMENT {
            let said = format!(
                "{} bytes at offset {}, more than the {MOST_DOCUMENT} allowed here",
                region.length, region.start
            );
            return Err(Error::new(ErrorKind::Invalid, said).target(region.name));
        }
        let length = usize::try_from(region.length).unwrap_or(usize::MAX);
        read_at(&region, length).map(Some)
    }

    /// How the content of `region` is compressed, if it is. Blocking.
    pub(super) fn packing(&self, region: &Region) -> Result<Option<Packing>> {
        let length = usize::try_from(region.length)
            .unwrap_or(usize::MAX)
            .min(ENOUGH);
        Ok(Packing::of(&read_at(region, length)?))
    }
}

impl Files for Members {
    fn find(&self, path: &str) -> Result<Option<Region>> {
        Ok(self.follow(path)?.map(|(start, length)| Region {
            file: Arc::clone(&self.file),
            name: format!("{}: {}", self.name, path.escape_debug()),
            start,
            length,
        }))
    }

    fn name(&self) -> &str {
        &self.name
    }
}

impl Members {
    /// Offset and length of the file at `path`. Follows links as if the archive were the root of a
    /// file system, and never outside of it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if `path` is a link, or goes through one, that leads nowhere.
    fn follow(&self, path: &str) -> Result<Option<(u64, u64)>> {
        if let Some(TarEntry::File { offset, length }) = self.entries.get(path) {
            return Ok(Some((*offset, *length)));
        }
        // The parts that are left, the next one last.
        let mut left: Vec<&str> = path.split('/').rev().collect();
        let mut at: Vec<&str> = Vec::new();
        // The last link that was followed, and how many there were.
        let (mut link, mut links) = (None, 0);
        while let Some(part) = left.pop() {
            match part {
                "" | "." => continue,
                ".." if at.pop().is_none() => return Err(self.lost(path, link, OUT)),
                ".." => continue,
                part => at.push(part),
            }
            match self.entries.get(&at.join("/")) {
                Some(TarEntry::File { offset, length }) if left.is_empty() => {
                    return Ok(Some((*offset, *length)));
                }
                Some(TarEntry::File { .. }) => break,
                Some(TarEntry::Link { target, base }) => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(self.too_many_links(path));
                    }
                    match base {
                        Base::Root => at.clear(),
                        Base::Folder => drop(at.pop()),
                    }
                    left.extend(target.split('/').rev());
                    link = Some((target, *base));
                }
                // A folder, with or without an entry of its own.
                None => {}
            }
        }
        match link {
            Some(_) => Err(self.lost(path, link, ABSENT)),
            None => Ok(None),
        }
    }

    /// The error of a path that is a link, or goes through one, to nothing in the archive.
    fn lost(&self, path: &str, link: Option<(&String, Base)>, why: &str) -> Error {
        let said = match link {
            Some((target, base)) => {
                let slash = if base == Base::Root { "/" } else { "" };
                format!("is a link to {slash}{}, {why}", target.escape_debug())
            }
            None => format!("names a place {why}"),
        };
        Error::new(ErrorKind::NotFound, said)
            .target(path.escape_debug())
            .target(&self.name)
    }

    fn too_many_links(&self, path: &str) -> Error {
        let said = format!("more than {MOST_LINKS} links in a row, which is the limit");
        Error::new(ErrorKind::Invalid, said)
            .target(path.escape_debug())
            .target(&self.name)
    }
}

/// Why a link leads nowhere.
const OUT: &str = "which leads out of the archive";
const ABSENT: &str = "which the archive does not have";

fn read_at(region: &Region, length: usize) -> Result<Bytes> {
    read_exactly_at(&region.file, region.start, length).map_err(|error| {
        Error::io(&region.name, error).target(format_args!("offset {}", region.start))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(links: &[(&str, &str, Base)]) -> Members {
        let mut entries = HashMap::new();
        for (path, target, base) in links {
            let (target, base) = ((*target).to_owned(), *base);
            entries.insert((*path).to_owned(), TarEntry::Link { target, base });
        }
        let file = TarEntry::File {
            offset: 512,
            length: 3,
        };
        entries.insert("real/a/file".to_owned(), file);
        Members {
            file: Arc::new(tempfile::tempfile().unwrap()),
            name: "x.tar".to_owned(),
            entries,
        }
    }

    #[test]
    fn fault_xroot_an_absolute_path_is_looked_up_below_the_root_of_the_archive() {
        let members = members(&[]);
        assert_eq!(members.follow("/real/a/file").unwrap(), Some((512, 3)));
        assert_eq!(members.follow("/etc/passwd").unwrap(), None);
    }

    #[test]
    fn fault_c2_links_are_followed_as_in_a_file_system_of_its_own() {
        use Base::{Folder, Root};
        let members = members(&[
            ("absolute", "real/a/file", Root),
            ("folder", "real", Folder),
            ("deep/folder", "../real/a", Folder),
            ("through", "folder/a/file", Folder),
            ("real/b", "a", Folder),
            ("back", "deep/folder/../a/file", Folder),
        ]);
        for path in [
            "real/a/file",
            "absolute",
            "folder/a/file",
            "deep/folder/file",
            "through",
            "folder/b/file",
            "./real//b/./file",
            // The folder above is that of the target, not that of the link.
            "back",
        ] {
            assert_eq!(members.follow(path).unwrap(), Some((512, 3)), "{path}");
        }
        for path in ["real", "real/a", "real/a/file/x", "nothing"] {
            assert_eq!(members.follow(path).unwrap(), None, "{path}");
        }
    }

    #[test]
    fn fault_c2_a_link_to_nothing_is_named_with_its_target() {
        use Base::{Folder, Root};
        let members = members(&[
            ("absolute", "etc/passwd", Root),
            ("up/out", "../../etc/passwd", Folder),
            ("loop", "loop", Folder),
            ("folder", "gone", Folder),
        ]);
        for (path, said) in [
            (
                "absolute",
                "is a link to /etc/passwd, which the archive does not have",
            ),
            (
                "up/out",
                "is a link to ../../etc/passwd, which leads out of the archive",
            ),
            ("loop", "more than 16 links in a row, which is the limit"),
            (
                "folder/x",
                "is a link to gone, which the archive does not have",
            ),
        ] {
            let error = members.follow(path).unwrap_err();
            assert_eq!(error.to_string(), format!("x.tar: {path}: {said}"));
        }
    }
}
