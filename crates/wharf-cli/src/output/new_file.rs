//! A file that is written beside its place, and gets its name when it is whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use wharf::{Error, Result};

/// A file that is written beside its place, and gets its name when it is whole. Dropped before that,
/// it leaves nothing.
#[derive(Debug)]
pub(crate) struct NewFile {
    path: PathBuf,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// A device or a pipe is written directly: a rename would replace it with a plain file.
    Stream(File),
    /// A file is written beside its place, and renamed.
    Beside(NamedTempFile, PathBuf),
}

impl NewFile {
    /// Prepares writing to `path`, which stays as it is until then. A new file gets the permissions
    /// that the umask allows; one that is replaced keeps its own. Behind a link by name, its target
    /// is replaced. Blocking.
    ///
    /// # Errors
    /// The system's error, naming the file.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        NewFile::open_for(path, Readers::Everyone)
    }

    /// The same for a new file that no other user can read.
    ///
    /// # Errors
    /// As [`NewFile::open`].
    pub(crate) fn open_private(path: &Path) -> Result<Self> {
        NewFile::open_for(path, Readers::Owner)
    }

    fn open_for(path: &Path, readers: Readers) -> Result<Self> {
        let place = match fs::metadata(path) {
            Ok(there) if there.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            // What an open file has already stays.
            Ok(there) if there.is_file() && is_open_already(path) => stream(path, Ends::Kept),
            Ok(there) if !there.is_file() => stream(path, Ends::None),
            Ok(there) => path
                .canonicalize()
                .and_then(|target| beside(&target, readers, Some(there.permissions()))),
            Err(_) => beside(path, readers, None),
        };
        Ok(NewFile {
            place: place.map_err(|error| Error::io(path.display(), error))?,
            path: path.to_owned(),
        })
    }

    /// Writes at the end. Blocking.
    ///
    /// # Errors
    /// The system's error, naming the file.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = match &mut self.place {
            Place::Stream(file) => file.write_all(bytes),
            Place::Beside(file, _) => file.write_all(bytes),
        };
        written.map_err(|error| Error::io(self.path.display(), error))
    }

    /// Gives the file its name, after its content is on the disk. Blocking.
    ///
    /// # Errors
    /// The system's error, naming the file.
    pub(crate) fn publish(self) -> Result<()> {
        let published = match self.place {
            Place::Stream(_) => Ok(()),
            Place::Beside(file, target) => file
                .as_file()
                .sync_all()
                .and_then(|()| file.persist(target).map(drop).map_err(Into::into)),
        };
        published.map_err(|error| Error::io(self.path.display(), error))
    }
}

/// Which users can read a new file, as far as the umask allows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Readers {
    Everyone,
    Owner,
}

/// Whether a file that is written directly has an end to write at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    None,
    Kept,
}

fn stream(path: &Path, ends: Ends) -> io::Result<Place> {
    let mut options = OpenOptions::new();
    let opened = options.write(true).append(ends == Ends::Kept).open(path);
    opened.map(Place::Stream)
}

/// Names such as `/dev/stdout` mean a file that is open already, perhaps with content.
fn is_open_already(path: &Path) -> bool {
    let streams = ["/proc", "/dev/fd", "/dev/stdout", "/dev/stderr"];
    streams.iter().any(|stream| path.starts_with(stream))
}

fn beside(
    path: &Path,
    readers: Readers,
    permissions: Option<fs::Permissions>,
) -> io::Result<Place> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let file = temporary(&directory, readers)?;
    if let Some(permissions) = permissions {
        file.as_file().set_permissions(permissions)?;
    }
    Ok(Place::Beside(file, path.to_owned()))
}

#[cfg(unix)]
fn temporary(directory: &Path, readers: Readers) -> io::Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;

    let mode = match readers {
        Readers::Everyone => 0o666,
        Readers::Owner => 0o600,
    };
    let mut builder = tempfile::Builder::new();
    builder
        .prefix(".wharf-")
        .permissions(fs::Permissions::from_mode(mode))
        .tempfile_in(directory)
}

#[cfg(not(unix))]
fn temporary(directory: &Path, _: Readers) -> io::Result<NamedTempFile> {
    tempfile::Builder::new()
        .prefix(".wharf-")
        .tempfile_in(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) -> Result<()> {
        let mut file = NewFile::open(path)?;
        file.write(text.as_bytes())?;
        file.publish()
    }

    #[cfg(unix)]
    #[test]
    fn rule_4_a_pipe_stays_a_pipe_and_a_link_a_link() {
        use std::os::unix::fs::FileTypeExt;

        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let read = pipe.clone();
        let reading = std::thread::spawn(move || fs::read_to_string(read));
        write(&pipe, "a\n").unwrap();
        assert_eq!(reading.join().unwrap().unwrap(), "a\n");
        assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());

        let (target, link) = (
            directory.path().join("target"),
            directory.path().join("link"),
        );
        fs::write(&target, "").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        write(&link, "a\n").unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "a\n");
        assert_eq!(fs::read_link(&link).unwrap(), target);
    }

    #[cfg(unix)]
    #[test]
    fn permissions_are_those_of_any_file_and_stay_as_they_were() {
        use std::os::unix::fs::PermissionsExt;

        let directory = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        let (plain, new, kept) = (
            directory.path().join("plain"),
            directory.path().join("new"),
            directory.path().join("kept"),
        );
        fs::write(&plain, "").unwrap();
        write(&new, "a\n").unwrap();
        assert_eq!(mode(&new), mode(&plain));

        fs::write(&kept, "").unwrap();
        fs::set_permissions(&kept, fs::Permissions::from_mode(0o640)).unwrap();
        write(&kept, "a\n").unwrap();
        assert_eq!(mode(&kept) & 0o777, 0o640);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_that_is_open_already_is_added_to() {
        use std::os::fd::AsRawFd;

        let mut open = tempfile::tempfile().unwrap();
        open.write_all(b"before\n").unwrap();
        let path = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()));
        write(&path, "a\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "before\na\n");
    }

    #[test]
    fn a_missing_directory_is_named() {
        let error = NewFile::open(Path::new("/nowhere/refs")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "/nowhere/refs: no such file or directory"
        );
    }

    #[test]
    fn a_directory_is_refused_before_there_is_anything_to_write() {
        let directory = tempfile::tempdir().unwrap();
        let error = NewFile::open(directory.path()).unwrap_err();
        assert!(error.to_string().ends_with("is a directory"), "{error}");
    }

    #[test]
    fn what_is_not_written_in_the_end_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        drop(NewFile::open(&directory.path().join("refs")).unwrap());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
