//! A directory as a driver.

use std::fs::File;
use std::io::ErrorKind as Io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use wharf_core::blob::ByteStream;
use wharf_core::sync::Lock;
use wharf_core::verify::blocking;
use wharf_core::{Result, file};
use wharf_oci::RepositoryName;

use super::files::{self, at};
use super::lengths;
use super::locks::{self, Turns};
use super::session::{self, DiskSession};
use super::start::{self, Format};
use super::tree::Tree;
use crate::driver::{
    Applied, Driver, Entry, Folder, Key, Object, OpenSession, Session, Stat, Version, When,
};
use crate::share::Shares;

/// A driver in a directory. Cheap to clone; clones, and other processes, share the content.
#[derive(Clone, Debug)]
pub struct Disk {
    tree: Arc<Tree>,
    turns: Arc<Turns>,
    swept: Arc<Lock<Instant>>,
    format: Format,
    reads: Shares,
}

/// While a directory stays open, it is swept again after this time, when a session begins.
const SWEEP_AFTER: Duration = Duration::from_secs(60 * 60);

impl Disk {
    /// Opens a storage directory, or makes one of a directory that is empty or does not exist.
    /// Temporary files and upload sessions that were not written to for a day are removed, then
    /// and about every hour.
    ///
    /// # Errors
    /// [`wharf_core::ErrorKind::Invalid`] if the directory holds something else,
    /// [`wharf_core::ErrorKind::Unsupported`] if another version wrote it, else the system's error.
    pub async fn open(directory: impl Into<PathBuf>) -> Result<Self> {
        let directory = directory.into();
        let (tree, format) = blocking(move || start::open(directory)).await??;
        Ok(Disk {
            tree: Arc::new(tree),
            turns: Arc::default(),
            swept: Arc::new(Lock::new(Instant::now())),
            format,
            reads: Shares::default(),
        })
    }

    /// The format that the directory had when it was opened.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Marks the directory as one of the format that is written now.
    pub(crate) async fn mark_upgraded(&self) -> Result<()> {
        self.run(start::mark).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Tree) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let tree = Arc::clone(&self.tree);
        blocking(move || work(&tree)).await?
    }

    /// Changes the file of a key if `when` holds; `None` otherwise.
    async fn change<T: Send + 'static>(
        &self,
        key: &Key,
        when: When,
        work: impl FnOnce(&Tree, &Path) -> Result<T> + Send + 'static,
    ) -> Result<Option<T>> {
        let name = ordered(key).cloned();
        let _turn = match &name {
            Some(name) => Some(locks::turn(&self.turns, name).await?),
            None => None,
        };
        let (begun, mut work) = (Instant::now(), work);
        loop {
            let (key, name, when) = (key.clone(), name.clone(), when.clone());
            // The work holds the lock: if the caller is dropped, the lock must not end before the work.
            let attempt = move |tree: &Tree| {
                let lock = name.map(|name| locks::alone(&tree.lock(&name)));
                let _lock = match lock.transpose()? {
                    Some(None) => return Ok(Attempt::Locked(work)),
                    lock => lock.flatten(),
                };
                let path = tree.path(&key);
                if when != When::Always && !when.holds(files::read(&path)?.as_deref()) {
                    return Ok(Attempt::Ended(None));
                }
                work(tree, &path).map(|done| Attempt::Ended(Some(done)))
            };
            match self.run(attempt).await? {
                Attempt::Ended(done) => return Ok(done),
                Attempt::Locked(again) => work = again,
            }
            // The wait holds no thread: another process may keep many locks.
            locks::pause(begun).await?;
        }
    }

    /// Whether a sweep is due; true for one caller only.
    fn is_sweep_due(&self) -> bool {
        let mut swept = self.swept.lock();
        let due = swept.elapsed() >= SWEEP_AFTER;
        if due {
            *swept = Instant::now();
        }
        due
    }
}

/// A try to change an object.
enum Attempt<T, W> {
    /// The result of the work; `None` if its condition did not hold.
    Ended(Option<T>),
    /// Another process holds the lock; this is the work.
    Locked(W),
}

/// The repository in which changes to this object must be made one at a time. Writes to other
/// objects always write the same bytes under the same key.
fn ordered(key: &Key) -> Option<&RepositoryName> {
    match key {
        Key::ManifestLink(name, _) | Key::Tag(name, _) => Some(name),
        Key::ReferrerLink { repository, .. } => Some(repository),
        Key::Repository(_) | Key::Content(_) | Key::BlobLink(..) => None,
    }
}

#[async_trait]
impl Driver for Disk {
    async fn get(&self, key: &Key) -> Result<Option<Object>> {
        let key = key.clone();
        let read = self.run(move |tree| match (&key, files::read(&tree.path(&key))?) {
            (Key::Content(digest), Some(bytes))
                if lengths::is_damaged(tree, digest, bytes.len() as u64)? =>
            {
                Ok(None)
            }
            (_, found) => Ok(found),
        });
        let found = read.await?;
        Ok(found.map(|bytes| Object {
            version: Version::of(&bytes),
            bytes: bytes.into(),
        }))
    }

    async fn stat(&self, key: &Key) -> Result<Option<Stat>> {
        let key = key.clone();
        self.run(move |tree| lengths::stat(tree, &key)).await
    }

    async fn read(&self, key: &Key, start: u64, length: u64) -> Result<Option<ByteStream>> {
        let path = self.tree.path(key);
        let name = path.display().to_string();
        let opened = self.run(move |_| files::found(&path, File::open(&path)));
        let opened = opened.await?.map(Arc::new);
        let share = self.reads.join();
        let chunk = move || share.bytes();
        Ok(opened.map(|opened| file::region_by(opened, &name, start, length, chunk)))
    }

    async fn put(&self, key: &Key, bytes: Bytes, when: When) -> Result<Applied> {
        let version = Version::of(&bytes);
        let kind = key.clone();
        let put = self.change(key, when, move |tree, path| match &kind {
            Key::Repository(_) => files::ensure_directory(path),
            Key::Content(digest) => {
                files::write(&tree.temp(), path, &bytes)?;
                lengths::note(tree, digest, bytes.len() as u64);
                Ok(())
            }
            _ => files::write(&tree.temp(), path, &bytes),
        });
        let done = put.await?.map(|()| Applied::Done(version));
        Ok(done.unwrap_or(Applied::Declined))
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<bool> {
        let when = version.cloned().map_or(When::Always, When::Is);
        let delete = self.change(key, when, |_, path| {
            let removed = files::remove(path)?;
            if removed {
                files::sync_parent(path)?;
            }
            Ok(removed)
        });
        Ok(delete.await?.unwrap_or(false))
    }

    async fn touch(&self, key: &Key) -> Result<bool> {
        let key = key.clone();
        self.run(move |tree| {
            let path = tree.path(&key);
            let opened = File::options().read(true).append(true).open(&path);
            if let Err(error) = &opened
                && matches!(error.kind(), Io::PermissionDenied | Io::ReadOnlyFilesystem)
            {
                // An upload replaces the file, and its owner.
                tracing::warn!(path = %path.display(), %error, "this cannot be used again as it is");
                return Ok(false);
            }
            let Some(file) = files::found(&path, opened)? else {
                return Ok(false);
            };
            if let Key::Content(digest) = &key
                && !lengths::is_whole(tree, digest, &file)?
            {
                return Ok(false);
            }
            let touched = file.set_modified(SystemTime::now());
            touched.map(|()| true).map_err(|e| at(&path, e))
        })
        .await
    }

    async fn list(&self, folder: &Folder, after: Option<&Key>, limit: usize) -> Result<Vec<Entry>> {
        let (folder, after) = (folder.clone(), after.cloned());
        self.run(move |tree| tree.list(&folder, after.as_ref(), limit))
            .await
    }

    async fn begin(&self, session: &Session) -> Result<()> {
        let (path, due) = (self.tree.upload(session), self.is_sweep_due());
        self.run(move |tree| {
            if due {
                start::sweep(tree)?;
            }
            session::create(&path)
        })
        .await
    }

    async fn length(&self, session: &Session) -> Result<Option<u64>> {
        let path = self.tree.upload(session);
        let found = self.run(move |_| files::stat(&path)).await?;
        Ok(found.map(|stat| stat.size))
    }

    async fn open(&self, session: &Session) -> Result<Option<Box<dyn OpenSession>>> {
        let (path, tree) = (self.tree.upload(session), Arc::clone(&self.tree));
        let opened = blocking(move || DiskSession::open(tree, path)).await??;
        Ok(opened.map(|open| Box::new(open) as Box<dyn OpenSession>))
    }

    async fn abort(&self, session: &Session) -> Result<bool> {
        let path = self.tree.upload(session);
        self.run(move |_| session::abort(&path)).await
    }
}
