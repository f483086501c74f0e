//! Named files, wherever they lie: below a directory or inside a tar.

use std::fmt::Debug;
use std::fs::File;
use std::sync::Arc;

use crate::Result;
use crate::blob::ByteStream;
use crate::file;

/// Finds files by their path, which has `/` between its parts and stays below the root.
/// Blocking: call it off the reactor.
pub(crate) trait Files: Debug + Send + Sync {
    /// The file at `path`, or `None` where there is none.
    fn find(&self, path: &str) -> Result<Option<Region>>;

    /// What the whole is called in messages: the directory, or the archive.
    fn name(&self) -> &str;
}

/// Where a file's bytes lie.
#[derive(Clone, Debug)]
pub(crate) struct Region {
    /// The file that holds them.
    pub(crate) file: Arc<File>,
    /// What it is called in messages.
    pub(crate) name: String,
    /// Offset of the first byte.
    pub(crate) start: u64,
    /// Number of bytes.
    pub(crate) length: u64,
}

impl Region {
    /// The bytes from `offset` on, counted from the region's start.
    pub(crate) fn open(&self, offset: u64) -> ByteStream {
        let offset = offset.min(self.length);
        file::region(
            Arc::clone(&self.file),
            &self.name,
            self.start + offset,
            self.length - offset,
        )
    }
}
