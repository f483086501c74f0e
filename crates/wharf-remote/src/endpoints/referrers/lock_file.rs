//! Turns among the processes that share a directory of locks, as long as none takes too long.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Once;
use std::time::{Duration, SystemTime};

use wharf_oci::Digest;

use crate::hosts::LIFETIME;
use wharf_core::state;
use wharf_core::verify::blocking;

/// How long to wait for another process, and how often to check.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(20);

/// Waits for the turn of `key` among the processes that share `directory`. Best effort: no lock if
/// the directory cannot be used, or another process holds the lock for too long.
pub(super) async fn among_processes(directory: &Path, key: &str) -> Option<File> {
    static SWEPT: Once = Once::new();
    let path = directory.join(Digest::of(key.as_bytes()).hex());
    let directory = directory.to_owned();
    let prepare = move || {
        // Lock files are empty, and old ones are not needed.
        SWEPT.call_once(|| state::sweep(&directory, LIFETIME));
        state::private_dir(&directory)
    };
    blocking(prepare).await.ok()?.ok()?;
    let waiting = async {
        loop {
            let path = path.clone();
            match blocking(move || try_lock(&path)).await.ok()? {
                Ok(file) => return Some(file),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    tokio::time::sleep(LOOK.mul_f64(0.5 + fastrand::f64())).await;
                }
                Err(error) => {
                    tracing::debug!(%error, "no turns among processes");
                    return None;
                }
            }
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.ok()?
}

fn try_lock(path: &Path) -> io::Result<File> {
    let file = state::lock(path, Duration::ZERO)?;
    // A file in use is not to be swept.
    let _ = file.set_modified(SystemTime::now());
    Ok(file)
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
        // If nothing can be locked, no process waits.
        let nowhere = locks.join(Digest::of(b"a").hex()).join("below");
        assert!(among_processes(&nowhere, "a").await.is_none());
    }
}
