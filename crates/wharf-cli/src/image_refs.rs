//! The file that `--image-refs` names: whole or not there at all.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use wharf::{Error, Result};

/// Writes one line a reference.
///
/// # Errors
/// What the system says, naming the file.
pub(crate) fn write(path: &Path, references: &[String]) -> Result<()> {
    let text: String = references
        .iter()
        .map(|reference| format!("{reference}\n"))
        .collect();
    let written = match fs::metadata(path) {
        // A device or a pipe is written to: a rename would put a plain file in its place.
        Ok(there) if !there.is_file() => fs::OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|mut file| file.write_all(text.as_bytes())),
        Ok(_) => path
            .canonicalize()
            .and_then(|target| replace(&target, &text)),
        Err(_) => replace(path, &text),
    };
    written.map_err(|error| Error::io(path.display(), error))
}

fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut file = NamedTempFile::new_in(directory)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_device_stays_a_device_and_a_link_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let device = directory.path().join("device");
        std::os::unix::fs::symlink("/dev/null", &device).unwrap();
        write(&device, &["a".to_owned()]).unwrap();
        assert_eq!(fs::read_link(&device).unwrap(), Path::new("/dev/null"));

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

    #[test]
    fn a_missing_directory_is_named() {
        let error = write(Path::new("/nowhere/refs"), &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "/nowhere/refs: no such file or directory"
        );
    }
}
