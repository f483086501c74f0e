//! Opening a storage directory: the marker, and sweeping up after processes that died.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use wharf_core::{Error, ErrorKind, Result};

use super::files::{self, at};
use super::tree::Tree;
use crate::driver::session::LEFT_BEHIND;

const MARKER: &str = "format";
const FORMAT: &str = "wharf-registry 2\n";
const FORMAT_1: &str = "wharf-registry 1\n";

/// What a directory was when it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// As it is written now.
    Current,
    /// Without referrer links.
    One,
}

/// Opens or makes a storage directory.
pub(super) fn open(root: PathBuf) -> Result<(Tree, Format)> {
    fs::create_dir_all(&root).map_err(|e| at(&root, e))?;
    let tree = Tree::new(root);
    let marker = tree.root().join(MARKER);
    let format = match files::read(&marker)?.as_deref() {
        Some(content) if content == FORMAT.as_bytes() => Format::Current,
        Some(content) if content == FORMAT_1.as_bytes() => Format::One,
        Some(content) => return Err(unknown_format(&marker, content)),
        None => {
            make(&tree)?;
            Format::Current
        }
    };
    for directory in [
        tree.temp(),
        tree.uploads(),
        tree.repositories(),
        tree.locks(),
    ] {
        files::ensure_directory(&directory)?;
    }
    sweep(&tree)?;
    Ok((tree, format))
}

/// Removes abandoned sessions, and temporary files of that age.
pub(super) fn sweep(tree: &Tree) -> Result<()> {
    remove_older(&tree.temp(), LEFT_BEHIND)?;
    remove_older(&tree.uploads(), LEFT_BEHIND)
}

/// Says in the directory which format it has.
pub(super) fn mark(tree: &Tree) -> Result<()> {
    let marker = tree.root().join(MARKER);
    files::write(&tree.temp(), &marker, FORMAT.as_bytes())
}

/// Refuses a directory with other content: it was probably named by mistake.
fn make(tree: &Tree) -> Result<()> {
    for entry in fs::read_dir(tree.root()).map_err(|e| at(tree.root(), e))? {
        let name = entry.map_err(|e| at(tree.root(), e))?.file_name();
        let ours = [
            "temp",
            MARKER,
            "uploads",
            "repositories",
            "locks",
            "blobs",
            "lengths",
            "lost+found",
        ];
        if !ours.iter().any(|ours| name == *ours) {
            let message = "neither empty nor a registry's directory";
            return Err(Error::new(ErrorKind::Invalid, message).target(tree.root().display()));
        }
    }
    files::ensure_directory(&tree.temp())?;
    mark(tree)
}

fn unknown_format(marker: &Path, content: &[u8]) -> Error {
    let content = String::from_utf8_lossy(content);
    let line = content.lines().next().unwrap_or_default();
    let shown: String = line.chars().take(40).collect();
    let message = format!("format {shown:?} is not known to this version");
    Error::new(ErrorKind::Unsupported, message).target(marker.display())
}

/// Removes the files of a directory that were not written to for `age`.
fn remove_older(directory: &Path, age: Duration) -> Result<()> {
    let now = SystemTime::now();
    for name in files::entries(directory)? {
        let path = directory.join(name);
        // Another process may remove or rename it meanwhile.
        let Ok(modified) = fs::metadata(&path).and_then(|metadata| metadata.modified()) else {
            continue;
        };
        if now.duration_since(modified).is_ok_and(|idle| idle >= age) {
            tracing::debug!(file = %path.display(), "removing what was left behind");
            // It is only in the way, for example a directory, or on a disk that is read-only.
            if let Err(error) = files::remove(&path) {
                tracing::warn!(%error, "what was left behind cannot be removed");
            }
        }
    }
    Ok(())
}
