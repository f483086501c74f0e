//! Serialises changes to the links and tags of a repository, across all processes.
//!
//! Within a process the wait is in order; then a file lock keeps other processes out. Neither wait
//! holds a thread. The system releases it when a process dies.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use wharf_core::sync::{Held, Keyed};
use wharf_core::{Error, ErrorKind, Result};
use wharf_oci::RepositoryName;

use super::files::{self, at};

/// Changes take milliseconds; after this wait, a process hangs.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);

/// The turns of repositories within this process.
pub(super) type Turns = Keyed<RepositoryName, ()>;

/// Waits for the repository's turn in this process.
///
/// # Errors
/// [`ErrorKind::Busy`] after ten seconds.
pub(super) async fn turn<'a>(
    turns: &'a Turns,
    name: &RepositoryName,
) -> Result<Held<'a, RepositoryName, ()>> {
    let waited = tokio::time::timeout(PATIENCE, turns.hold(name.clone())).await;
    waited.map_err(|_| busy())
}

/// Keeps other processes out until the result is dropped; `None` if one of them is in. Blocks for a
/// moment only.
///
/// # Errors
/// The system's error.
pub(super) fn alone(path: &Path) -> Result<Option<File>> {
    files::ensure_parent(path)?;
    let mut options = File::options();
    let opened = options.write(true).create(true).truncate(false).open(path);
    let file = opened.map_err(|e| at(path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::Error(error)) => Err(at(path, error)),
        Err(TryLockError::WouldBlock) => Ok(None),
    }
}

/// Waits until the lock should be tried again, without a thread.
///
/// # Errors
/// [`ErrorKind::Busy`] ten seconds after the work began.
pub(super) async fn pause(begun: Instant) -> Result<()> {
    if begun.elapsed() >= PATIENCE {
        return Err(busy());
    }
    tokio::time::sleep(PAUSE).await;
    Ok(())
}

fn busy() -> Error {
    let message = "other requests kept writing to this repository; try again";
    Error::new(ErrorKind::Busy, message)
}
