//! Directories that a flag or a variable names: a mistyped one is an error, not an empty one.

use std::fs;
use std::path::{Path, PathBuf};

use wharf::{Error, Result};

/// The directory, if it can be read.
///
/// # Errors
/// The system's error, naming the directory.
pub(super) fn existing(directory: &Path) -> Result<PathBuf> {
    match fs::read_dir(directory) {
        Ok(_) => Ok(directory.to_owned()),
        Err(error) => Err(Error::io(directory.display(), error)),
    }
}
