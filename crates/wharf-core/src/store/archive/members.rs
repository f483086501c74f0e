//! The files of a scanned tar, by name. Follows links within the tar.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;

use super::scan::{self, TarEntry};
use super::sniff::{ENOUGH, Packing};
use super::unpack::Unpacked;
use crate::file::read_exactly_at;
use crate::store::files::{Files, Region};
use crate::{Error, ErrorKind, Result};

/// The most links to follow in a chain; a cycle exceeds any number.
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
        let mut at = path;
        for _ in 0..=MOST_LINKS {
            match self.entries.get(at) {
                None => return Ok(None),
                Some(TarEntry::Link { target }) => at = target,
                Some(TarEntry::File { offset, length }) => {
                    return Ok(Some(Region {
                        file: Arc::clone(&self.file),
                        name: format!("{}: {}", self.name, path.escape_debug()),
                        start: *offset,
                        length: *length,
                    }));
                }
            }
        }
        let said = format!(
            "{}: more than {MOST_LINKS} links in a row",
            path.escape_debug()
        );
        Err(Error::new(ErrorKind::Invalid, said).target(&self.name))
    }

    fn name(&self) -> &str {
        &self.name
    }
}

fn read_at(region: &Region, length: usize) -> Result<Bytes> {
    read_exactly_at(&region.file, region.start, length).map_err(|error| {
        Error::io(&region.name, error).target(format_args!("offset {}", region.start))
    })
}
