//! Writes files whole and removes them. All blocking.

use std::fs::{self, File};
use std::io::{ErrorKind as Io, Write};
use std::path::Path;

use tempfile::NamedTempFile;
use wharf_core::{Error, ErrorKind, Result};

use crate::driver::Stat;

/// Writes a small file whole: a temporary file, fsync, rename, fsync of the directory.
pub(super) fn write(temp: &Path, path: &Path, content: &[u8]) -> Result<()> {
    ensure_parent(path)?;
    if content.is_empty() {
        // It has no content, so it cannot be incomplete.
        File::create(path).map_err(|e| at(path, e))?;
        return sync_parent(path);
    }
    let mut file = temporary(temp)?;
    file.write_all(content).map_err(|e| at(path, e))?;
    file.as_file().sync_all().map_err(|e| at(path, e))?;
    file.persist(path).map_err(|e| at(path, e.error))?;
    sync_parent(path)
}

/// Writes a small file whole; what a loss of power leaves of it may be anything.
pub(super) fn replace(temp: &Path, path: &Path, content: &[u8]) -> Result<()> {
    let mut file = temporary(temp)?;
    file.write_all(content).map_err(|e| at(path, e))?;
    file.persist(path).map(drop).map_err(|e| at(path, e.error))
}

/// A temporary file, of the mode that all files get: what the umask leaves.
fn temporary(temp: &Path) -> Result<NamedTempFile> {
    let make = || {
        let mut options = File::options();
        options.read(true).write(true).create_new(true);
        tempfile::Builder::new().make_in(temp, |path| options.open(path))
    };
    let made = match make() {
        // The directory was removed since the start.
        Err(error) if error.kind() == Io::NotFound => {
            ensure_directory(temp)?;
            make()
        }
        made => made,
    };
    made.map_err(|e| at(temp, e))
}

/// The content of a small file; `None` if there is none. That of a directory is empty.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Err(error) if error.kind() == Io::IsADirectory => Ok(Some(Vec::new())),
        read => found(path, read),
    }
}

/// The size and the age of a file or directory; `None` if there is none.
pub(super) fn stat(path: &Path) -> Result<Option<Stat>> {
    let Some(metadata) = found(path, fs::metadata(path))? else {
        return Ok(None);
    };
    Ok(Some(Stat {
        size: metadata.len(),
        modified: metadata.modified().map_err(|e| at(path, e))?,
    }))
}

/// Makes the parent directory of `path`, durably.
pub(super) fn ensure_parent(path: &Path) -> Result<()> {
    path.parent().map_or(Ok(()), ensure_directory)
}

pub(super) fn ensure_directory(directory: &Path) -> Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    ensure_parent(directory)?;
    match fs::create_dir(directory) {
        // Another process may have made it meanwhile.
        Err(error) if error.kind() == Io::AlreadyExists && directory.is_dir() => Ok(()),
        Err(error) => Err(at(directory, error)),
        Ok(()) => sync_parent(directory),
    }
}

/// Makes a rename or creation of `path` survive a power failure.
#[cfg(unix)]
pub(super) fn sync_parent(path: &Path) -> Result<()> {
    let Some(parent) = path.parent() else {
        return Ok(());
    };
    let synced = File::open(parent).and_then(|directory| directory.sync_all());
    synced.map_err(|e| at(parent, e))
}

/// On other systems a directory cannot be opened as a file; they keep their own order.
#[cfg(not(unix))]
pub(super) fn sync_parent(_path: &Path) -> Result<()> {
    Ok(())
}

/// Removes a file; whether there was one.
pub(super) fn remove(path: &Path) -> Result<bool> {
    found(path, fs::remove_file(path)).map(|removed| removed.is_some())
}

/// The names in a directory, in any order; none if there is no directory.
pub(super) fn entries(directory: &Path) -> Result<Vec<String>> {
    let Some(entries) = found(directory, fs::read_dir(directory))? else {
        return Ok(Vec::new());
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(|e| at(directory, e))?.file_name();
        names.extend(name.into_string());
    }
    Ok(names)
}

/// The system's result for a path; `None` if there is nothing.
pub(super) fn found<T>(path: &Path, result: std::io::Result<T>) -> Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        // Whether an error means absence. A name below a file, such as `a/b` where `a` is a tag's
        // file, is absent too.
        Err(error) if matches!(error.kind(), Io::NotFound | Io::NotADirectory) => Ok(None),
        Err(error) => Err(at(path, error)),
    }
}

/// The error of the system about a path.
///
/// Absent content is no error here, see [`found`]: a missing directory is a fault of this side, which
/// no client must read as the absence of its content.
pub(super) fn at(path: &Path, error: std::io::Error) -> Error {
    let kind = match error.kind() {
        Io::NotFound => ErrorKind::Io,
        Io::ReadOnlyFilesystem => ErrorKind::Unsupported,
        // The limit of a process, or of the file system.
        Io::FileTooLarge => ErrorKind::NoSpace,
        _ if is_out_of_files(&error) => {
            tracing::warn!(path = %path.display(), %error, "storage");
            let message = "too many files are open; try again later";
            return Error::new(ErrorKind::Busy, message);
        }
        _ => return Error::io(path.display(), error),
    };
    Error::new(kind, Error::from(error).to_string()).target(path.display())
}

/// Whether the process, or the system, has no file descriptor left.
#[cfg(unix)]
fn is_out_of_files(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let code = error.raw_os_error();
    code == Some(Errno::MFILE.raw_os_error()) || code == Some(Errno::NFILE.raw_os_error())
}

#[cfg(not(unix))]
fn is_out_of_files(_error: &std::io::Error) -> bool {
    false
}

#[cfg(all(test, unix))]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn fault_xsystem_a_fault_of_the_system_is_not_one_of_the_client() {
        let path = Path::new("/secret/place");
        for (code, kind) in [
            (Errno::NOENT, ErrorKind::Io),
            (Errno::ACCESS, ErrorKind::Io),
            (Errno::ROFS, ErrorKind::Unsupported),
            (Errno::FBIG, ErrorKind::NoSpace),
            (Errno::NOSPC, ErrorKind::NoSpace),
            (Errno::MFILE, ErrorKind::Busy),
            (Errno::NFILE, ErrorKind::Busy),
        ] {
            let error = at(path, code.into());
            assert_eq!(error.kind(), kind, "{error}");
            // Clients are told the text of this kind.
            let told = error.kind() == ErrorKind::Busy;
            assert_eq!(!error.to_string().contains("secret"), told, "{error}");
        }
    }

    #[test]
    fn fault_xvanished_a_directory_for_temporary_files_is_made_again() {
        let directory = tempfile::tempdir().unwrap();
        let (temp, path) = (directory.path().join("temp"), directory.path().join("file"));
        write(&temp, &path, b"content").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"content");
        assert_eq!(fs::read_dir(&temp).unwrap().count(), 0);
    }
}
