//! The content of a file out of a layer.

use std::io::{Read, Seek, Write};
use std::path::Path;

use tempfile::SpooledTempFile;

use crate::Result;
use crate::tar_entries::{Entries, Entry};

/// Content up to this size, in bytes, is kept in memory.
const IN_MEMORY: usize = 1 << 20;

/// The content of a file: in memory up to a mebibyte, else in a temporary file without a name.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) content: SpooledTempFile,
    pub(crate) size: u64,
    pub(crate) mode: u32,
}

impl Kept {
    /// Keeps the content of the entry that was read last. Blocking.
    pub(super) fn of<R: Read>(
        entry: &mut Entry,
        entries: &mut Entries<R>,
        spool: &Path,
    ) -> Result<Self> {
        let mut content = SpooledTempFile::new_in(IN_MEMORY, spool);
        entries.copy(entry, &mut content)?;
        content.flush()?;
        content.rewind()?;
        Ok(Kept {
            content,
            size: entry.size(),
            mode: entry.header.mode().unwrap_or_default(),
        })
    }
}
