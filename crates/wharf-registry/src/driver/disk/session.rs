//! An upload session on disk: its file, open and locked across processes.

use std::fs::{self, File, TryLockError};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use wharf_core::blob::ByteStream;
use wharf_core::verify::blocking;
use wharf_core::{Result, file};

use super::files::{self, at};
use super::lengths;
use super::tree::Tree;
use crate::driver::session::{aborted, taken};
use crate::driver::{Key, OpenSession};

/// An open session. The lock ends with the last handle to the file, so a write that outlives its
/// request ends before the next request begins.
#[derive(Debug)]
pub(super) struct DiskSession {
    tree: Arc<Tree>,
    path: PathBuf,
    file: Arc<File>,
    length: u64,
    state: Option<Vec<u8>>,
}

impl DiskSession {
    /// Opens the session at `path`; `None` if there is none. Blocks.
    pub(super) fn open(tree: Arc<Tree>, path: PathBuf) -> Result<Option<Self>> {
        let opened = File::options().read(true).write(true).open(&path);
        let Some(file) = files::found(&path, opened)? else {
            return Ok(None);
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(taken()),
            Err(TryLockError::Error(error)) => return Err(at(&path, error)),
        }
        // Between open and lock another request may have finished it: its bytes must not change.
        if !path.exists() {
            return Ok(None);
        }
        let length = file.metadata().map_err(|e| at(&path, e))?.len();
        Ok(Some(DiskSession {
            state: files::read(&state_of(&path))?,
            file: Arc::new(file),
            length,
            path,
            tree,
        }))
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&File, &Path, &Tree) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (file, tree) = (Arc::clone(&self.file), Arc::clone(&self.tree));
        let path = self.path.clone();
        blocking(move || work(&file, &path, &tree)).await?
    }
}

/// Bytes to read at a time when a session is hashed again.
const REPLAY: usize = 256 << 10;

/// Makes the file of a session, and its directory if that was removed since the start. Blocks.
pub(super) fn create(path: &Path) -> Result<()> {
    files::ensure_parent(path)?;
    let created = File::options().write(true).create_new(true).open(path);
    created.map(drop).map_err(|e| at(path, e))
}

/// Removes a session; whether it was there. A request that has it open keeps a file without a
/// name, and fails with its next write. Blocks.
pub(super) fn abort(path: &Path) -> Result<bool> {
    let found = files::remove(path)?;
    files::remove(&state_of(path))?;
    Ok(found)
}

/// The file with the saved hash state of a session.
fn state_of(path: &Path) -> PathBuf {
    let mut state = path.as_os_str().to_owned();
    state.push(".state");
    state.into()
}

#[async_trait]
impl OpenSession for DiskSession {
    fn length(&self) -> u64 {
        self.length
    }

    fn state(&self) -> Option<&[u8]> {
        self.state.as_deref()
    }

    async fn write(&mut self, chunks: Vec<Bytes>) -> Result<()> {
        let length = self.length;
        let write = move |mut file: &File, path: &Path, _: &Tree| {
            if !path.exists() {
                return Err(aborted());
            }
            let sought = file.seek(SeekFrom::Start(length));
            let written = sought.and_then(|_| chunks.iter().try_for_each(|c| file.write_all(c)));
            if let Err(error) = written {
                file.set_len(length).map_err(|e| at(path, e))?;
                return Err(at(path, error));
            }
            Ok(chunks.iter().map(|chunk| chunk.len() as u64).sum::<u64>())
        };
        self.length += self.run(write).await?;
        Ok(())
    }

    async fn save(&mut self, state: Bytes) -> Result<()> {
        let kept = state.to_vec();
        self.run(move |file, path, tree| {
            if path.exists()
                && let Err(error) = file.sync_data()
            {
                abort(path)?;
                return Err(at(path, error));
            }
            let place = state_of(path);
            // Nothing is left of a session that was aborted, which may take less time than a flush.
            if path.exists()
                && let Err(error) = files::replace(&tree.temp(), &place, &state)
            {
                tracing::debug!(%error, "the state of an upload was not saved");
            }
            // An abort removes the session before its state.
            if !path.exists() {
                files::remove(&place)?;
            }
            Ok(())
        })
        .await?;
        self.state = Some(kept);
        Ok(())
    }

    async fn truncate(&mut self, length: u64) -> Result<()> {
        let length = length.min(self.length);
        self.run(move |file, path, _| {
            // The state first: it must never cover bytes that are replaced.
            files::remove(&state_of(path))?;
            file.set_len(length).map_err(|e| at(path, e))
        })
        .await?;
        self.length = length;
        self.state = None;
        Ok(())
    }

    async fn read(&self, start: u64) -> Result<ByteStream> {
        let name = self.path.display().to_string();
        let length = self.length.saturating_sub(start);
        let file = Arc::clone(&self.file);
        Ok(file::region_by(file, &name, start, length, || REPLAY))
    }

    async fn finish(self: Box<Self>, key: &Key) -> Result<()> {
        let (place, key, length) = (self.tree.path(key), key.clone(), self.length);
        self.run(move |file, path, tree| {
            file.sync_all().map_err(|e| at(path, e))?;
            files::ensure_parent(&place)?;
            if let Err(error) = fs::rename(path, &place) {
                return Err(match path.exists() {
                    true => at(&place, error),
                    false => aborted(),
                });
            }
            files::sync_parent(&place)?;
            if let Key::Content(digest) = &key {
                lengths::note(tree, digest, length);
            }
            files::remove(&state_of(path)).map(drop)
        })
        .await
    }
}
