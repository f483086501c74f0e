//! Lock files: a lock ends with its process at the latest.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::files::private_options;

/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(2);

/// Locks the file at `path` until the result is dropped. Creates the file if it is missing; its
/// content stays and can be read and written. Blocking, for about `patience` at most.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] if another process, or another caller in this one, holds the lock
/// for too long; otherwise if the file cannot be opened. Only a regular file is opened: opening a
/// pipe would wait for its other end.
pub fn lock(path: &Path, patience: Duration) -> io::Result<File> {
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(io::Error::other("the lock is not a regular file"));
    }
    let mut options = private_options();
    let file = options.truncate(false).read(true).write(true).open(path)?;
    let end = Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() >= end => {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_keeps_others_out_until_it_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let held = lock(&path, Duration::ZERO).unwrap();
        let error = lock(&path, Duration::from_millis(5)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        drop(held);
        lock(&path, Duration::ZERO).unwrap();
    }
}
