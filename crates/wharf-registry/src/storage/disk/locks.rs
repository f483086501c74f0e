//! Who may change the manifests and tags of a repository: one at a time, over all processes.
//!
//! Within a process the wait is in order and holds no thread; then a lock on a file keeps other
//! processes out. The system takes it back from a process that dies.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, OwnedMutexGuard};
use wharf_core::{Error, ErrorKind, Result};
use wharf_oci::{Digest, RepositoryName};

use super::tree::{self, at};

/// Changes take milliseconds; whoever waits so long waits for something that hangs.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);

/// The locks of a storage directory: 256, which the repositories share.
#[derive(Clone, Debug)]
pub(super) struct Locks(Arc<[Arc<Mutex<()>>]>);

impl Locks {
    pub(super) fn new() -> Self {
        Locks((0..=u8::MAX).map(|_| Arc::default()).collect())
    }

    /// Waits for the repository's turn in this process.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] after ten seconds.
    pub(super) async fn turn(&self, directory: &Path, name: &RepositoryName) -> Result<Turn> {
        let owner = Digest::of(name.as_str().as_bytes());
        let shard = owner.hex().get(..2).unwrap_or_default();
        let index = usize::from_str_radix(shard, 16).unwrap_or_default();
        let lock = self.0.get(index).expect("two hex digits are below 256");
        let waited = tokio::time::timeout(PATIENCE, Arc::clone(lock).lock_owned()).await;
        Ok(Turn {
            path: directory.join(shard),
            _turn: waited.map_err(|_| busy())?,
        })
    }
}

/// The right to wait for other processes.
pub(super) struct Turn {
    path: PathBuf,
    _turn: OwnedMutexGuard<()>,
}

impl Turn {
    /// Keeps other processes out until the result is dropped. Blocks.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] after ten seconds; what the system says.
    pub(super) fn alone(&self) -> Result<File> {
        tree::ensure_parent(&self.path)?;
        let mut options = File::options();
        let opened = options.write(true).create(true).truncate(false);
        let file = opened.open(&self.path).map_err(|e| at(&self.path, e))?;
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(at(&self.path, error)),
                Err(TryLockError::WouldBlock) if begun.elapsed() >= PATIENCE => return Err(busy()),
                Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            }
        }
    }
}

fn busy() -> Error {
    Error::new(ErrorKind::Busy, "others write to this repository")
}
