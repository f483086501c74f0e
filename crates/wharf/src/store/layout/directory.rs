//! An OCI image layout directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::entry::Entry;
use super::reader::LayoutReader;
use super::tree::Tree;
use crate::{Error, ErrorKind, Result};

/// An OCI image layout directory, as source and store; cheap to clone.
#[derive(Clone, Debug)]
pub struct Layout {
    root: Arc<PathBuf>,
    reader: LayoutReader,
}

impl Layout {
    /// Opens the layout in `directory`. Blocking.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is no such directory, [`ErrorKind::Invalid`] where it
    /// is no layout, [`ErrorKind::Unsupported`] where it is one of another version.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self> {
        let root = directory.as_ref();
        let about = |kind, message: &str| Err(Error::new(kind, message).target(root.display()));
        match std::fs::read_dir(root).map(|mut files| files.next().is_none()) {
            Ok(false) => {}
            Ok(true) => {
                return about(
                    ErrorKind::Invalid,
                    "empty directory, not an OCI image layout",
                );
            }
            Err(error) => match error.kind() {
                std::io::ErrorKind::NotFound => {
                    return about(ErrorKind::NotFound, "no such directory");
                }
                std::io::ErrorKind::NotADirectory => {
                    return about(
                        ErrorKind::Invalid,
                        "not a directory, so no OCI image layout",
                    );
                }
                _ => return Err(Error::io(root.display(), error)),
            },
        }
        let reader = LayoutReader::new(Arc::new(Tree::new(root)))?;
        Ok(Layout {
            root: Arc::new(root.to_owned()),
            reader,
        })
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.root
    }

    /// What the layout lists, in its order. Blocking.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where `index.json` is not valid any more.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        self.reader.entries()
    }

    /// The entry that `wanted`, a tag, name or digest, means; without it the only one. A digest
    /// may be that of any manifest in the layout. Blocking.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where nothing fits, [`ErrorKind::Ambiguous`] where several entries
    /// do; both list what there is.
    pub fn select(&self, wanted: Option<&str>) -> Result<Entry> {
        self.reader.select(wanted)
    }
}
