//! Turns among the processes that share a directory of locks, as long as none takes too long.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

use wharf_oci::Digest;

use super::journal::sweep;
use wharf_core::verify::blocking;

/// How long another process is waited for, and how often it is looked for.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(20);

/// Waits for the turn of `key` among the processes that share `directory`. A hint, no guarantee:
/// where the directory cannot be used, or somebody takes too long, there is no waiting.
pub(super) async fn among_processes(directory: &Path, key: &str) -> Option<File> {
    static SWEPT: Once = Once::new();
    let path = directory.join(Digest::of(key.as_bytes()).hex());
    let old = directory.to_owned();
    // Locks are empty files, of no use to anybody when their time is over.
    blocking(move || SWEPT.call_once(|| sweep(&old)))
        .await
        .ok()?;
    let waiting = async {
        loop {
            let path = path.clone();
            match blocking(move || try_lock(&path)).await.ok()?? {
                Some(file) => return Some(file),
                None => tokio::time::sleep(LOOK.mul_f64(0.5 + fastrand::f64())).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.ok()?
}

/// The lock; `Some(None)` where another process has it, `None` where there can be none.
fn try_lock(path: &PathBuf) -> Option<Option<File>> {
    fs::create_dir_all(path.parent()?).ok()?;
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).open(path);
    let file = file.ok()?;
    match file.try_lock() {
        Ok(()) => {
            // It is in use, and not to be swept.
            let _ = file.set_modified(std::time::SystemTime::now());
            Some(Some(file))
        }
        Err(TryLockError::WouldBlock) => Some(None),
        Err(TryLockError::Error(error)) => {
            tracing::debug!(path = %path.display(), %error, "no turns among processes");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn f4_processes_wait_for_each_other_too() {
        let directory = tempfile::tempdir().unwrap();
        let locks = directory.path().join("locks");
        let first = among_processes(&locks, "a").await.unwrap();
        assert!(among_processes(&locks, "b").await.is_some());
        let waiting =
            tokio::time::timeout(Duration::from_millis(100), among_processes(&locks, "a"));
        assert!(waiting.await.is_err());
        drop(first);
        assert!(among_processes(&locks, "a").await.is_some());
        // Where nothing can be locked, nobody waits.
        let nowhere = locks.join(Digest::of(b"a").hex()).join("below");
        assert!(among_processes(&nowhere, "a").await.is_none());
    }
}
