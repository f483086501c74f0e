//! The paths below the root, and their listing.

use std::path::{Path, PathBuf};

use wharf_core::Result;
use wharf_oci::{Digest, RepositoryName};

use super::files;
use crate::driver::{Entry, Folder, Key, Session};

/// The paths of a storage directory.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    root: PathBuf,
}

impl Tree {
    pub(super) fn new(root: PathBuf) -> Self {
        Tree { root }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn temp(&self) -> PathBuf {
        self.root.join("temp")
    }

    pub(super) fn uploads(&self) -> PathBuf {
        self.root.join("uploads")
    }

    pub(super) fn repositories(&self) -> PathBuf {
        self.root.join("repositories")
    }

    pub(super) fn lengths(&self) -> PathBuf {
        self.root.join("lengths")
    }

    pub(super) fn locks(&self) -> PathBuf {
        self.root.join("locks")
    }

    /// The file that is locked while links and tags of a repository change.
    pub(super) fn lock(&self, name: &RepositoryName) -> PathBuf {
        let owner = Digest::of(name.as_str().as_bytes());
        self.locks().join(owner.hex().get(..2).unwrap_or_default())
    }

    /// The file of a key. For a repository it is a directory, one of the two that mark its
    /// existence.
    pub(super) fn path(&self, key: &Key) -> PathBuf {
        let path = self.root.join(key.path());
        match key {
            Key::Repository(_) if path.join("_manifests").is_dir() => path.join("_manifests"),
            Key::Repository(_) => path.join("_blobs"),
            _ => path,
        }
    }

    /// The repository is part of the file name, so a session is not found under another repository.
    pub(super) fn upload(&self, session: &Session) -> PathBuf {
        let owner = Digest::of(session.repository.as_str().as_bytes());
        let owner = owner.hex().get(..16).unwrap_or_default();
        self.uploads().join(format!("{}.{owner}", session.id))
    }

    /// At most `limit` entries of a folder in order, beginning after `after`.
    pub(super) fn list(
        &self,
        folder: &Folder,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        if *folder == Folder::Repositories {
            let mut keys = Vec::new();
            self.repositories_below("", &mut keys)?;
            keys.retain(|key| after.is_none_or(|after| key > after));
            keys.sort_unstable();
            for key in keys {
                skipped(self.add(key, limit, &mut entries));
            }
        } else {
            let after = after.map(Key::path).unwrap_or_default();
            self.walk(&folder.path(), &after, limit, &mut entries)?;
        }
        Ok(entries)
    }

    /// Lists the keys below a directory with paths after `after`. Skips directories before that,
    /// directories after the limit, and files with other names.
    fn walk(&self, place: &str, after: &str, limit: usize, entries: &mut Vec<Entry>) -> Result<()> {
        let mut names = files::entries(&self.root.join(place))?;
        names.sort_unstable();
        for name in names {
            let path = format!("{place}/{name}");
            if entries.len() == limit || (path.as_str() <= after && !after.starts_with(&path)) {
                continue;
            }
            match Key::parse(&path) {
                None => self.walk(&path, after, limit, entries)?,
                Some(_) if path.as_str() <= after => {}
                Some(key) => self.add(key, limit, entries)?,
            }
        }
        Ok(())
    }

    fn repositories_below(&self, prefix: &str, keys: &mut Vec<Key>) -> Result<()> {
        let directory = self.repositories().join(prefix);
        for component in files::entries(&directory)? {
            let Ok(name) = format!("{prefix}{component}").parse::<RepositoryName>() else {
                continue;
            };
            skipped(self.repositories_below(&format!("{name}/"), keys));
            keys.push(Key::Repository(name));
        }
        Ok(())
    }

    /// Adds a key to a list, unless the list is full, the object is gone, or it is not an object.
    fn add(&self, key: Key, limit: usize, entries: &mut Vec<Entry>) -> Result<()> {
        if entries.len() < limit
            && let Some(stat) = files::stat(&self.path(&key))?
        {
            entries.push(Entry { key, stat });
        }
        Ok(())
    }
}

/// A directory that cannot be read hides no other repositories.
fn skipped(result: Result<()>) {
    if let Err(error) = result {
        tracing::error!(%error, "a repository is not listed");
    }
}
