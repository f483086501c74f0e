//! The file that `--image-refs` names: written whole or not at all.

use std::path::Path;

use wharf::Result;

use crate::output::NewFile;

/// A place for references, checked for writing before there are any.
#[derive(Debug)]
pub(crate) struct ImageRefs(NewFile);

impl ImageRefs {
    /// Prepares writing to `path`, which stays as it is until then. Other users cannot read a new
    /// file.
    ///
    /// # Errors
    /// The system's error, naming the file.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        NewFile::open_private(path).map(ImageRefs)
    }

    /// Writes the references, a newline between them and none at the end.
    ///
    /// # Errors
    /// The system's error, naming the file.
    pub(crate) fn write(mut self, references: &[String]) -> Result<()> {
        self.0.write(references.join("\n").as_bytes())?;
        self.0.publish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_no_newline_at_the_end_and_leaves_nothing_beside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("refs");
        std::fs::write(&path, "a much longer text that was here before").unwrap();
        let references = ["a@sha256:1".to_owned(), "b@sha256:2".to_owned()];
        ImageRefs::open(&path).unwrap().write(&references).unwrap();
        let written = std::fs::read_to_string(&path).unwrap();
        assert_eq!(written, "a@sha256:1\nb@sha256:2");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_new_file_is_for_its_owner_and_an_old_one_keeps_its_permissions() {
        use std::fs::{Permissions, metadata, set_permissions, write};
        use std::os::unix::fs::PermissionsExt;

        let directory = tempfile::tempdir().unwrap();
        let (new, kept) = (directory.path().join("new"), directory.path().join("kept"));
        write(&kept, "").unwrap();
        set_permissions(&kept, Permissions::from_mode(0o644)).unwrap();
        for (path, expected) in [(&new, 0o600), (&kept, 0o644)] {
            let refs = ImageRefs::open(path).unwrap();
            refs.write(&["a@sha256:1".to_owned()]).unwrap();
            let mode = metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, expected);
        }
    }
}
