//! Writes files whole or not at all: a temporary file beside, fsync, rename, fsync.

use std::fs::{self, File};
use std::io::{ErrorKind as Io, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tempfile::TempPath;

use crate::blob::ByteStream;
use crate::verify::blocking;
use crate::{Error, Result};

/// The prefix of temporary files.
const PREFIX: &str = ".wharf-";

/// A temporary file of this age is abandoned, whatever its lock says.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// A younger file may be about to be locked by its writer.
const FRESH: Duration = Duration::from_secs(5);

/// A file without its final name; dropping it deletes it.
#[derive(Debug)]
pub(in crate::store) struct NewFile {
    file: Arc<File>,
    path: TempPath,
    root: PathBuf,
}

impl NewFile {
    /// A new file on the file system of `root`, for a place below it. Blocking.
    pub(in crate::store) fn create(root: &Path) -> Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(PREFIX);
        readable_by_others(&mut builder);
        let file = builder
            .tempfile_in(root)
            .map_err(|error| Error::io(root.display(), error))?;
        let (file, path) = file.into_parts();
        // Held as long as the file is open: an unlocked file has lost its writer. Without locks in
        // the file system, only the age counts.
        let _ = file.try_lock();
        Ok(NewFile {
            file: Arc::new(file),
            path,
            root: root.to_owned(),
        })
    }

    /// Writes all of `stream`.
    ///
    /// # Errors
    /// The stream's error, or the system's.
    pub(in crate::store) async fn fill(mut self, mut stream: ByteStream) -> Result<Self> {
        while let Some(chunk) = stream.next().await.transpose()? {
            self = blocking(move || self.write(&chunk).map(|()| self)).await??;
        }
        Ok(self)
    }

    /// Writes `bytes`. Blocking.
    pub(in crate::store) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        (&*self.file)
            .write_all(bytes)
            .map_err(|error| Error::io(self.path.display(), error))
    }

    /// The file itself, to write and read at any place of it.
    pub(in crate::store) fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Gives it its final name, replacing an existing file. Durable on return. Blocking.
    pub(in crate::store) fn publish(self, path: &Path) -> Result<()> {
        let named = |error| Error::io(path.display(), error);
        let parent = path.parent().filter(|parent| *parent != Path::new(""));
        let directory = parent.unwrap_or(&self.root);
        create_directory(directory, &self.root)?;
        self.file.sync_all().map_err(named)?;
        self.path
            .persist(path)
            .map_err(|error| named(error.error))?;
        sync_directory(directory)
    }

    /// As [`NewFile::publish`], but keeps an existing file. Blocking.
    pub(in crate::store) fn publish_unless_there(self, path: &Path) -> Result<()> {
        let named = |error| Error::io(path.display(), error);
        self.file.sync_all().map_err(named)?;
        match self.path.persist_noclobber(path) {
            Ok(()) => sync_directory(&self.root),
            Err(error) if error.error.kind() == Io::AlreadyExists => Ok(()),
            Err(error) => Err(named(error.error)),
        }
    }
}

/// Whether this is the name of one of our temporary files.
pub(in crate::store) fn is_temporary(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().starts_with(PREFIX.as_bytes())
}

/// Removes what dead processes left in `root`. Blocking, best effort.
pub(in crate::store) fn remove_stale(root: &Path) {
    let Ok(files) = fs::read_dir(root) else {
        return;
    };
    let temporary = files
        .flatten()
        .filter(|file| is_temporary(&file.file_name()));
    for file in temporary {
        if is_abandoned(&file.path()) {
            // Another process may be doing the same.
            let _ = fs::remove_file(file.path());
        }
    }
}

fn is_abandoned(path: &Path) -> bool {
    let age = || {
        fs::metadata(path)?
            .modified()?
            .elapsed()
            .map_err(std::io::Error::other)
    };
    let Ok(age) = age() else { return false };
    let unlocked = || File::open(path).is_ok_and(|file| file.try_lock().is_ok());
    age > STALE || (age > FRESH && unlocked())
}

/// Makes `directory`, below `root`, durably.
fn create_directory(directory: &Path, root: &Path) -> Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(directory).map_err(|error| Error::io(directory.display(), error))?;
    let parents = directory.ancestors().skip(1);
    parents
        .take_while(|parent| parent.starts_with(root))
        .try_for_each(sync_directory)
}

#[cfg(unix)]
fn sync_directory(directory: &Path) -> Result<()> {
    match File::open(directory).and_then(|directory| directory.sync_all()) {
        // Some network file systems do not support this, and do not need it.
        Err(error) if error.kind() != Io::InvalidInput => {
            Err(Error::io(directory.display(), error))
        }
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn sync_directory(_directory: &Path) -> Result<()> {
    Ok(())
}

/// Temporary files are private by default, but content is for all users that may read the
/// directory.
#[cfg(unix)]
fn readable_by_others(builder: &mut tempfile::Builder<'_, '_>) {
    use std::os::unix::fs::PermissionsExt;
    builder.permissions(fs::Permissions::from_mode(0o666));
}

#[cfg(not(unix))]
fn readable_by_others(_builder: &mut tempfile::Builder<'_, '_>) {}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn only_old_temporary_files_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let old = SystemTime::now() - 2 * STALE;
        for (name, old) in [
            (".wharf-old", Some(old)),
            (".wharf-new", None),
            ("old", Some(old)),
        ] {
            let file = File::create(directory.path().join(name)).unwrap();
            file.set_modified(old.unwrap_or_else(SystemTime::now))
                .unwrap();
        }
        remove_stale(directory.path());
        let left = |name: &str| directory.path().join(name).exists();
        assert_eq!(
            [".wharf-old", ".wharf-new", "old"].map(left),
            [false, true, true]
        );
    }

    #[test]
    fn a_dropped_file_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = NewFile::create(directory.path()).unwrap();
        file.write(b"half").unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        drop(file);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_there_stays_or_goes_as_asked() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b/c");
        let new = |bytes: &[u8]| {
            let mut file = NewFile::create(directory.path()).unwrap();
            file.write(bytes).unwrap();
            file
        };
        new(b"1").publish(&path).unwrap();
        new(b"2").publish_unless_there(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"1");
        new(b"3").publish(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"3");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
