//! The files below a directory.

use std::fs::{self, File};
use std::io::ErrorKind as Io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::store::files::{Files, Region};
use crate::{Error, ErrorKind, Result};

/// Finds files below a directory by opening them.
#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
    name: String,
}

impl Tree {
    /// The files below `root`.
    pub(super) fn new(root: &Path) -> Self {
        Tree {
            root: root.to_owned(),
            name: root.display().to_string(),
        }
    }
}

/// The error of a link to nothing.
fn lost(target: &Path) -> Error {
    let said = format!("is a link to {}, which is not there", target.display());
    Error::new(ErrorKind::NotFound, said)
}

impl Files for Tree {
    fn find(&self, path: &str) -> Result<Option<Region>> {
        let path = self.root.join(path);
        let name = path.display().to_string();
        // Opened only afterwards: opening a pipe would block.
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if matches!(error.kind(), Io::NotFound | Io::NotADirectory) => {
                return match fs::read_link(&path) {
                    Ok(target) => Err(lost(&target).target(name)),
                    Err(_) => Ok(None),
                };
            }
            Err(error) => return Err(Error::io(name, error)),
        };
        if !metadata.is_file() {
            return Err(Error::new(ErrorKind::Invalid, "not a regular file").target(name));
        }
        let file = File::open(&path).map_err(|error| Error::io(&name, error))?;
        let length = file
            .metadata()
            .map_err(|error| Error::io(&name, error))?
            .len();
        Ok(Some(Region {
            file: Arc::new(file),
            name,
            start: 0,
            length,
        }))
    }

    fn name(&self) -> &str {
        &self.name
    }
}
