//! Where everything lies below the root, and how small files get there whole. All blocking.

use std::fs::{self, File};
use std::io::{ErrorKind as Io, Write};
use std::path::{Path, PathBuf};

use wharf_core::{Error, Result};
use wharf_oci::{Algorithm, Digest, RepositoryName, Tag};

use crate::storage::SessionId;

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

    pub(super) fn locks(&self) -> PathBuf {
        self.root.join("locks")
    }

    pub(super) fn repositories(&self) -> PathBuf {
        self.root.join("repositories")
    }

    /// The content of a digest, whichever repositories have it.
    pub(super) fn content(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        let shard = hex.get(..2).unwrap_or(hex);
        let pool = self.root.join("blobs").join(digest.algorithm().to_string());
        pool.join(shard).join(hex)
    }

    /// Names have no component that begins with `_`, so these directories cannot clash with one.
    fn repository(&self, name: &RepositoryName) -> PathBuf {
        self.repositories().join(name.as_str())
    }

    pub(super) fn blob_link(&self, name: &RepositoryName, digest: &Digest) -> PathBuf {
        let links = self.repository(name).join("_blobs");
        links
            .join(digest.algorithm().to_string())
            .join(digest.hex())
    }

    pub(super) fn manifest_link(&self, name: &RepositoryName, digest: &Digest) -> PathBuf {
        self.manifest_links(name, digest.algorithm())
            .join(digest.hex())
    }

    pub(super) fn manifest_links(&self, name: &RepositoryName, algorithm: Algorithm) -> PathBuf {
        let links = self.repository(name).join("_manifests");
        links.join(algorithm.to_string())
    }

    pub(super) fn referrers(&self, name: &RepositoryName, subject: &Digest) -> PathBuf {
        let links = self.repository(name).join("_referrers");
        links
            .join(subject.algorithm().to_string())
            .join(subject.hex())
    }

    pub(super) fn referrer_link(
        &self,
        name: &RepositoryName,
        subject: &Digest,
        digest: &Digest,
    ) -> PathBuf {
        let file = format!("{}-{}", digest.algorithm(), digest.hex());
        self.referrers(name, subject).join(file)
    }

    pub(super) fn tags(&self, name: &RepositoryName) -> PathBuf {
        self.repository(name).join("_tags")
    }

    pub(super) fn tag(&self, name: &RepositoryName, tag: &Tag) -> PathBuf {
        self.tags(name).join(tag.to_string())
    }

    /// The repository is part of the name: a session is not found under another repository.
    pub(super) fn upload(&self, id: &SessionId, name: &RepositoryName) -> PathBuf {
        let owner = Digest::of(name.as_str().as_bytes());
        let owner = owner.hex().get(..16).unwrap_or_default();
        self.uploads().join(format!("{id}.{owner}"))
    }

    /// Whether a directory is that of a repository.
    pub(super) fn is_repository(directory: &Path) -> bool {
        directory.join("_blobs").is_dir() || directory.join("_manifests").is_dir()
    }

    pub(super) fn exists(&self, name: &RepositoryName) -> bool {
        Self::is_repository(&self.repository(name))
    }

    /// Writes a small file whole: temporary file, fsync, rename, fsync of the directory.
    pub(super) fn write(&self, path: &Path, content: &[u8]) -> Result<()> {
        let temp = self.temp();
        let mut file = tempfile::NamedTempFile::new_in(&temp).map_err(|e| at(&temp, e))?;
        file.write_all(content).map_err(|e| at(path, e))?;
        file.as_file().sync_all().map_err(|e| at(path, e))?;
        ensure_parent(path)?;
        file.persist(path).map_err(|e| at(path, e.error))?;
        sync_parent(path)
    }

    /// Makes an empty file; it has no content that could be there by half.
    pub(super) fn touch(path: &Path) -> Result<()> {
        ensure_parent(path)?;
        File::create(path).map_err(|e| at(path, e))?;
        sync_parent(path)
    }
}

/// The content of a small file, `None` where there is none.
pub(super) fn read(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(at(path, error)),
    }
}

/// A file opened for reading and its length in bytes, `None` where there is none.
pub(super) fn open(path: &Path) -> Result<Option<(File, u64)>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(at(path, error)),
    };
    let length = file.metadata().map_err(|e| at(path, e))?.len();
    Ok(Some((file, length)))
}

/// Makes the directory that `path` lies in, durably.
pub(super) fn ensure_parent(path: &Path) -> Result<()> {
    path.parent().map_or(Ok(()), ensure_directory)
}

fn ensure_directory(directory: &Path) -> Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    ensure_parent(directory)?;
    match fs::create_dir(directory) {
        // Another process may be as fast as this one.
        Err(error) if error.kind() == Io::AlreadyExists && directory.is_dir() => Ok(()),
        Err(error) => Err(at(directory, error)),
        Ok(()) => sync_parent(directory),
    }
}

/// Makes a rename or creation of `path` survive a loss of power.
#[cfg(unix)]
pub(super) fn sync_parent(path: &Path) -> Result<()> {
    let Some(parent) = path.parent() else {
        return Ok(());
    };
    let synced = File::open(parent).and_then(|directory| directory.sync_all());
    synced.map_err(|e| at(parent, e))
}

/// Elsewhere a directory cannot be opened as a file; the system keeps its own order.
#[cfg(not(unix))]
pub(super) fn sync_parent(_path: &Path) -> Result<()> {
    Ok(())
}

/// Removes what may be gone already.
pub(super) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if !is_absent(&error) => Err(at(path, error)),
        _ => Ok(()),
    }
}

/// Removes what may be gone already, so that it is gone after a loss of power too.
pub(super) fn remove_durably(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Ok(()) => sync_parent(path),
        Err(error) if is_absent(&error) => Ok(()),
        Err(error) => Err(at(path, error)),
    }
}

/// The names in a directory, in any order; none where there is no directory.
pub(super) fn entries(directory: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        Err(error) => return Err(at(directory, error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(|e| at(directory, e))?.file_name();
        names.extend(name.into_string());
    }
    Ok(names)
}

pub(super) fn at(path: &Path, error: std::io::Error) -> Error {
    Error::io(path.display(), error)
}

/// A name below a file, as `a/b` where `a` is a tag's file, is as absent as any other.
pub(super) fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), Io::NotFound | Io::NotADirectory)
}
