//! The file that `--image-refs` names: written whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use wharf::{Error, Result};

/// A place for references, checked for writing before there are any.
#[derive(Debug)]
pub(crate) struct ImageRefs {
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

impl ImageRefs {
    /// Prepares writing to `path`, which stays as it is until then.
    ///
    /// # Errors
    /// The system's error, naming the file.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let place = match fs::metadata(path) {
            Ok(there) if there.is_dir() => Err(std::io::ErrorKind::IsADirectory.into()),
            Ok(there) if !there.is_file() || is_open_stream(path) => OpenOptions::new()
                .append(true)
                .open(path)
                .map(Place::Stream),
            Ok(there) => path
                .canonicalize()
                .and_then(|target| beside(&target, Some(there.permissions()))),
            Err(_) => beside(path, None),
        };
        Ok(ImageRefs {
            place: place.map_err(|error| Error::io(path.display(), error))?,
            path: path.to_owned(),
        })
    }

    /// Writes one line per reference.
    ///
    /// # Errors
    /// The system's error, naming the file.
    pub(crate) fn write(self, references: &[String]) -> Result<()> {
        let text: String = references
            .iter()
            .map(|reference| format!("{reference}\n"))
            .collect();
        let written = match self.place {
            Place::Stream(mut file) => file.write_all(text.as_bytes()),
            Place::Beside(file, target) => publish(file, &target, &text),
        };
        written.map_err(|error| Error::io(self.path.display(), error))
    }
}

/// Names such as `/dev/stdout` mean a file that is open already, perhaps with content.
fn is_open_stream(path: &Path) -> bool {
    path.starts_with("/dev") || path.starts_with("/proc")
}

/// A new file gets what the umask allows; an existing file keeps its permissions.
fn beside(path: &Path, permissions: Option<fs::Permissions>) -> std::io::Result<Place> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let file = temporary(&directory)?;
    if let Some(permissions) = permissions {
        file.as_file().set_permissions(permissions)?;
    }
    Ok(Place::Beside(file, path.to_owned()))
}

fn publish(mut file: NamedTempFile, target: &Path, text: &str) -> std::io::Result<()> {
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(target)?;
    Ok(())
}

#[cfg(unix)]
fn temporary(directory: &Path) -> std::io::Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;

    let everyone = fs::Permissions::from_mode(0o666);
    tempfile::Builder::new()
        .permissions(everyone)
        .tempfile_in(directory)
}

#[cfg(not(unix))]
fn temporary(directory: &Path) -> std::io::Result<NamedTempFile> {
    NamedTempFile::new_in(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, references: &[String]) -> Result<()> {
        ImageRefs::open(path)?.write(references)
    }

    #[test]
    fn writes_a_line_a_reference_and_leaves_nothing_beside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("refs");
        fs::write(&path, "a much longer text that was here before").unwrap();
        write(&path, &["a@sha256:1".to_owned(), "b@sha256:2".to_owned()]).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "a@sha256:1\nb@sha256:2\n"
        );
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
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
        write(&pipe, &["a".to_owned()]).unwrap();
        assert_eq!(reading.join().unwrap().unwrap(), "a\n");
        assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());

        let (target, link) = (
            directory.path().join("target"),
            directory.path().join("link"),
        );
        fs::write(&target, "").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        write(&link, &["a".to_owned()]).unwrap();
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
        write(&new, &["a".to_owned()]).unwrap();
        assert_eq!(mode(&new), mode(&plain));

        fs::write(&kept, "").unwrap();
        fs::set_permissions(&kept, fs::Permissions::from_mode(0o640)).unwrap();
        write(&kept, &["a".to_owned()]).unwrap();
        assert_eq!(mode(&kept) & 0o777, 0o640);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_that_is_open_already_is_added_to() {
        use std::os::fd::AsRawFd;

        let mut open = tempfile::tempfile().unwrap();
        open.write_all(b"before\n").unwrap();
        let path = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()));
        write(&path, &["a".to_owned()]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "before\na\n");
    }

    #[test]
    fn a_missing_directory_is_named() {
        let error = ImageRefs::open(Path::new("/nowhere/refs")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "/nowhere/refs: no such file or directory"
        );
    }

    #[test]
    fn a_directory_is_refused_before_there_is_anything_to_write() {
        let directory = tempfile::tempdir().unwrap();
        let error = ImageRefs::open(directory.path()).unwrap_err();
        assert!(error.to_string().ends_with("is a directory"), "{error}");
    }

    #[test]
    fn what_is_not_written_in_the_end_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        drop(ImageRefs::open(&directory.path().join("refs")).unwrap());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
