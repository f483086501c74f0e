//! Named files, below a directory or inside a tar.

use std::fmt::Debug;
use std::fs::File;
use std::sync::Arc;

use futures::FutureExt;
use wharf_oci::Descriptor;

use crate::Result;
use crate::blob::{Blob, ByteStream};
use crate::file;

/// Finds files by a path with `/` between its parts, below the root. Blocking: call it off the
/// reactor.
pub(crate) trait Files: Debug + Send + Sync {
    /// The file at `path`, or `None` if there is none.
    fn find(&self, path: &str) -> Result<Option<Region>>;

    /// The name of the directory or archive in messages.
    fn name(&self) -> &str;
}

/// The place of a file's bytes.
#[derive(Clone, Debug)]
pub(crate) struct Region {
    /// The file that holds them.
    pub(crate) file: Arc<File>,
    /// Its name in messages.
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

    /// The same bytes as a blob.
    pub(crate) fn blob(&self, descriptor: Descriptor) -> Blob {
        let region = self.clone();
        let blob = Blob::new(descriptor, move |offset| {
            let stream = region.open(offset);
            async move { Ok(stream) }.boxed()
        });
        blob.with_name(&self.name)
    }
}
