//! One upload session on disk: bytes are hashed once, as they are written.
//!
//! A [`Writer`] holds the lock on the session's file, across processes, for as long as it lives.
//! When it goes, wherever that happens, what it knows of the hash stays for the next one; when
//! nothing is known (another process, a restart), the file is read again.

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use wharf_core::{Error, ErrorKind, Result};
use wharf_oci::{Algorithm, Digest, Hasher};

use super::tree::{self, Tree, at};
use crate::storage::session::taken;

/// What is known of the hashes of sessions, by path.
#[derive(Clone, Debug, Default)]
pub(super) struct Known(Arc<Mutex<HashMap<PathBuf, Progress>>>);

#[derive(Clone, Debug)]
struct Progress {
    hasher: Hasher,
    algorithm: Algorithm,
    length: u64,
}

impl Progress {
    fn none(algorithm: Algorithm) -> Self {
        Progress {
            hasher: Hasher::new(algorithm),
            algorithm,
            length: 0,
        }
    }
}

impl Known {
    /// Removes the file of a session, whoever writes to it; whether there was one. A writer goes
    /// on with a file without a name, which the system takes back, until it asks for the name.
    pub(super) fn give_up(&self, path: &Path) -> Result<bool> {
        match fs::remove_file(path) {
            Ok(()) => {
                self.with(|known| known.remove(path));
                Ok(true)
            }
            Err(error) if tree::is_absent(&error) => Ok(false),
            Err(error) => Err(at(path, error)),
        }
    }

    /// Forgets sessions whose files are gone.
    pub(super) fn retain_existing(&self) {
        self.with(|known| known.retain(|path, _| path.exists()));
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<PathBuf, Progress>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// An open session; all functions block.
#[derive(Debug)]
pub(super) struct Writer {
    file: File,
    path: PathBuf,
    progress: Progress,
    known: Known,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Open,
    Ended,
}

impl Writer {
    /// Makes the file of a new session.
    pub(super) fn create(path: PathBuf, algorithm: Algorithm, known: Known) -> Result<Self> {
        let mut options = File::options();
        let made = options.read(true).write(true).create_new(true).open(&path);
        let file = made.map_err(|e| at(&path, e))?;
        Self::locked(file, path, Progress::none(algorithm), known)?.ok_or_else(taken)
    }

    /// Opens a session that exists, to write at its end; `None` where there is no such session.
    /// `algorithm` is what to hash with where nothing was hashed yet.
    pub(super) fn open(path: PathBuf, algorithm: Algorithm, known: Known) -> Result<Option<Self>> {
        let file = match File::options().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if tree::is_absent(&error) => return Ok(None),
            Err(error) => return Err(at(&path, error)),
        };
        let Some(mut writer) = Self::locked(file, path, Progress::none(algorithm), known)? else {
            return Ok(None);
        };
        let kept = writer.known.with(|known| known.remove(&writer.path));
        let length = writer
            .file
            .metadata()
            .map_err(|e| at(&writer.path, e))?
            .len();
        match kept {
            Some(kept) if kept.length == length && length > 0 => writer.progress = kept,
            _ => writer.rehash(algorithm)?,
        }
        let end = SeekFrom::Start(writer.progress.length);
        writer.file.seek(end).map_err(|e| at(&writer.path, e))?;
        Ok(Some(writer))
    }

    fn locked(file: File, path: PathBuf, progress: Progress, known: Known) -> Result<Option<Self>> {
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(taken()),
            Err(TryLockError::Error(error)) => return Err(at(&path, error)),
        }
        // Between open and lock another request may have made it a blob, which must not change.
        if !path.exists() {
            return Ok(None);
        }
        Ok(Some(Writer {
            file,
            path,
            progress,
            known,
            state: State::Open,
        }))
    }

    /// Bytes in the session.
    pub(super) fn length(&self) -> u64 {
        self.progress.length
    }

    /// Writes and hashes chunks. When it fails the session ends where it ended before; when that
    /// is for want of space, the session goes, to give back what it took. An error, too, where
    /// the session was given up meanwhile.
    pub(super) fn write(&mut self, chunks: &[Bytes]) -> Result<()> {
        if !self.path.exists() {
            return Err(given_up());
        }
        for chunk in chunks {
            if let Err(error) = self.file.write_all(chunk) {
                let error = at(&self.path, error);
                if error.kind() == ErrorKind::NoSpace {
                    self.discard()?;
                } else {
                    self.cut_back()?;
                }
                return Err(error);
            }
            self.progress.hasher.update(chunk);
            self.progress.length += chunk.len() as u64;
        }
        Ok(())
    }

    /// Makes the session's bytes the pool's content of their digest, which must be `expected`
    /// where given. The bytes are read again only when another algorithm is asked for.
    pub(super) fn commit(
        mut self,
        tree: &Tree,
        expected: Option<&Digest>,
    ) -> Result<(Digest, u64)> {
        if let Some(algorithm) = expected.map(Digest::algorithm)
            && algorithm != self.progress.algorithm
        {
            self.rehash(algorithm)?;
        }
        let digest = self.progress.hasher.clone().finish();
        if let Some(expected) = expected.filter(|expected| **expected != digest) {
            self.discard()?;
            return Err(Error::digest_mismatch(expected, &digest));
        }
        if let Err(error) = self.place(tree, &digest) {
            self.discard()?;
            return Err(error);
        }
        self.forget();
        Ok((digest, self.progress.length))
    }

    fn place(&self, tree: &Tree, digest: &Digest) -> Result<()> {
        self.file.sync_all().map_err(|e| at(&self.path, e))?;
        let content = tree.content(digest);
        tree::ensure_parent(&content)?;
        fs::rename(&self.path, &content).map_err(|error| {
            if tree::is_absent(&error) && !self.path.exists() {
                return given_up();
            }
            at(&content, error)
        })?;
        tree::sync_parent(&content)
    }

    /// Removes the session and its bytes.
    pub(super) fn discard(&mut self) -> Result<()> {
        self.forget();
        tree::remove(&self.path)
    }

    fn forget(&mut self) {
        self.state = State::Ended;
        self.known.with(|known| known.remove(&self.path));
    }

    fn cut_back(&mut self) -> Result<()> {
        let length = self.progress.length;
        self.file.set_len(length).map_err(|e| at(&self.path, e))?;
        self.file
            .seek(SeekFrom::Start(length))
            .map_err(|e| at(&self.path, e))?;
        Ok(())
    }

    fn rehash(&mut self, algorithm: Algorithm) -> Result<()> {
        self.progress = Progress::none(algorithm);
        self.file
            .seek(SeekFrom::Start(0))
            .map_err(|e| at(&self.path, e))?;
        let mut buffer = vec![0; wharf_core::file::CHUNK];
        loop {
            let count = self.file.read(&mut buffer).map_err(|e| at(&self.path, e))?;
            if count == 0 {
                return Ok(());
            }
            self.progress
                .hasher
                .update(buffer.get(..count).unwrap_or_default());
            self.progress.length += count as u64;
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // A session that is gone for good has no next writer.
        if self.state == State::Open && self.path.exists() {
            let progress = self.progress.clone();
            self.known
                .with(|known| known.insert(self.path.clone(), progress));
        }
    }
}

/// The length of a session that nobody writes to; `None` where there is no such session.
pub(super) fn settled(path: &Path) -> Result<Option<u64>> {
    let Some((file, _)) = tree::open(path)? else {
        return Ok(None);
    };
    match file.try_lock_shared() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(taken()),
        Err(TryLockError::Error(error)) => return Err(at(path, error)),
    }
    // It may have become a blob before the lock was ours.
    if !path.exists() {
        return Ok(None);
    }
    Ok(Some(file.metadata().map_err(|e| at(path, e))?.len()))
}

fn given_up() -> Error {
    Error::new(ErrorKind::NotFound, "the upload session was given up")
}
