//! Opening a storage directory: the marker, and sweeping up after those that died.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use wharf_core::{Error, ErrorKind, Result};

use super::tree::{self, Tree, at};
use super::upgrade;
use crate::storage::session::LEFT_BEHIND;

const MARKER: &str = "format";
const FORMAT: &str = "wharf-registry 2\n";
/// Without referrer links.
const FORMAT_1: &str = "wharf-registry 1\n";

/// Opens or makes a storage directory.
pub(super) fn open(root: PathBuf) -> Result<Tree> {
    fs::create_dir_all(&root).map_err(|e| at(&root, e))?;
    let tree = Tree::new(root);
    let marker = tree.root().join(MARKER);
    let found = tree::read(&marker)?;
    match found.as_deref() {
        Some(FORMAT | FORMAT_1) => {}
        Some(content) => return Err(unknown_format(&marker, content)),
        None => mark(&tree, &marker)?,
    }
    let directories = [
        tree.temp(),
        tree.uploads(),
        tree.repositories(),
        tree.locks(),
    ];
    for directory in directories {
        tree::ensure_parent(&directory.join("entry"))?;
    }
    if found.as_deref() == Some(FORMAT_1) {
        upgrade::link_referrers(&tree)?;
        tree.write(&marker, FORMAT.as_bytes())?;
    }
    sweep(&tree)?;
    Ok(tree)
}

/// Removes sessions that were left behind, and temporary files as old.
pub(super) fn sweep(tree: &Tree) -> Result<()> {
    remove_older(&tree.temp(), LEFT_BEHIND)?;
    remove_older(&tree.uploads(), LEFT_BEHIND)
}

/// A directory with other things in it is a slip of the keyboard, not a storage.
fn mark(tree: &Tree, marker: &Path) -> Result<()> {
    for entry in fs::read_dir(tree.root()).map_err(|e| at(tree.root(), e))? {
        let name = entry.map_err(|e| at(tree.root(), e))?.file_name();
        let ours = [
            "temp",
            MARKER,
            "uploads",
            "repositories",
            "locks",
            "blobs",
            "lost+found",
        ];
        if !ours.iter().any(|ours| name == *ours) {
            let message = "not a registry's directory, and not empty";
            return Err(Error::new(ErrorKind::Invalid, message).target(tree.root().display()));
        }
    }
    tree::ensure_parent(&tree.temp().join("entry"))?;
    tree.write(marker, FORMAT.as_bytes())
}

fn unknown_format(marker: &Path, content: &str) -> Error {
    let line = content.lines().next().unwrap_or_default();
    let shown: String = line.chars().take(40).collect();
    let message = format!("format {shown:?} is not known to this version");
    Error::new(ErrorKind::Unsupported, message).target(marker.display())
}

/// Removes the files of a directory that nobody wrote to for `age`.
fn remove_older(directory: &Path, age: Duration) -> Result<()> {
    let now = SystemTime::now();
    for entry in fs::read_dir(directory).map_err(|e| at(directory, e))? {
        let entry = entry.map_err(|e| at(directory, e))?;
        // Another process may sweep too, or finish what it does.
        let Ok(modified) = entry.metadata().and_then(|metadata| metadata.modified()) else {
            continue;
        };
        if now.duration_since(modified).is_ok_and(|idle| idle >= age) {
            tracing::debug!(file = %entry.path().display(), "removing what was left behind");
            tree::remove(&entry.path())?;
        }
    }
    Ok(())
}
