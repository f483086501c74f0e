//! A tar in a file: each member has a place of its own, so several are written at once.
//!
//! The file stands beside the one that it will replace, and is gone if it never does.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::head;
use super::output::folder;
use crate::file::write_all_at;
use crate::store::files::Region;
use crate::store::new_file::{NewFile, remove_stale};
use crate::store::parts::Spot;
use crate::sync::Lock;
use crate::{Error, ErrorKind, Result};

/// The file under construction.
#[derive(Debug)]
pub(super) struct Placed {
    new: Lock<Option<NewFile>>,
    file: Arc<File>,
    path: PathBuf,
    places: Lock<Places>,
}

#[derive(Debug, Default)]
struct Places {
    /// The end of the last place.
    end: u64,
    /// The places without a whole member: begin and length, header included.
    open: BTreeMap<u64, u64>,
}

/// The place of a member.
#[derive(Debug)]
pub(super) struct Place {
    /// Where its header is.
    begin: u64,
    head: Vec<u8>,
    size: u64,
}

impl Placed {
    /// A new file that will be at `path`. Blocking.
    pub(super) fn create(path: PathBuf) -> Result<Self> {
        if path.is_dir() {
            let error = Error::new(ErrorKind::Invalid, "is a directory, not an archive");
            return Err(error.target(path.display()));
        }
        let folder = folder(&path);
        let new = NewFile::create(folder)?;
        // A file that is replaced keeps its permissions.
        if let Ok(there) = path.metadata() {
            let kept = new.file().set_permissions(there.permissions());
            kept.map_err(|error| Error::io(path.display(), error))?;
        }
        remove_stale(folder);
        Ok(Placed {
            file: Arc::clone(new.file()),
            new: Lock::new(Some(new)),
            path,
            places: Lock::default(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A place for a member with this header and size.
    pub(super) fn begin(&self, head: Vec<u8>, size: u64) -> Result<Place> {
        if self.new.lock().is_none() {
            let error = Error::new(ErrorKind::Invalid, "the archive is finished already");
            return Err(error.target(self.path.display()));
        }
        let mut places = self.places.lock();
        let begin = places.end;
        let length = (head.len() as u64)
            .checked_add(size)
            .and_then(|length| length.checked_add(head::padding(size)));
        let end = length.and_then(|length| begin.checked_add(length));
        let too_large = || Error::new(ErrorKind::Invalid, format!("{size} bytes do not fit"));
        let (length, end) = length.zip(end).ok_or_else(too_large)?;
        places.end = end;
        places.open.insert(begin, length);
        Ok(Place { begin, head, size })
    }

    /// Where the content of a member is in the file.
    pub(super) fn spot(&self, place: &Place) -> Spot {
        Spot {
            file: Arc::clone(&self.file),
            name: self.path.display().to_string().into(),
            start: place.begin + place.head.len() as u64,
        }
    }

    /// Writes content of a member at an offset of it. Blocking.
    pub(super) fn write(&self, place: &Place, mut offset: u64, chunks: &[Bytes]) -> Result<()> {
        let start = place.begin + place.head.len() as u64;
        for chunk in chunks {
            self.write_at(chunk, start + offset)?;
            offset += chunk.len() as u64;
        }
        Ok(())
    }

    /// Its content is whole: the member is there from now on. Blocking.
    pub(super) fn end(&self, place: &Place) -> Result<Region> {
        self.write_at(&place.head, place.begin)?;
        self.places.lock().open.remove(&place.begin);
        Ok(Region {
            file: Arc::clone(&self.file),
            name: self.path.display().to_string(),
            start: place.begin + place.head.len() as u64,
            length: place.size,
        })
    }

    /// Ends the tar and gives the file its name. Durable on return. Blocking.
    pub(super) fn finish(&self) -> Result<()> {
        let Some(new) = self.new.lock().take() else {
            return Ok(());
        };
        let (end, open) = {
            let mut places = self.places.lock();
            (places.end, std::mem::take(&mut places.open))
        };
        // Nothing can take the place of content that was given up; nothing lists it either.
        for (begin, length) in open {
            let name = format!("unused/{begin}");
            let size = length.saturating_sub(head::of_file(&name, 0)?.len() as u64);
            self.write_at(&head::of_file(&name, size)?, begin)?;
        }
        self.write_at(&head::END, end)?;
        new.publish(&self.path)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        write_all_at(&self.file, bytes, offset)
            .map_err(|error| Error::io(self.path.display(), error))
    }
}
