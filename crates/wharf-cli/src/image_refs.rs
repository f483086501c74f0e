//! The file that `--image-refs` names: written whole or not at all.

use std::path::Path;

use wharf::Result;

use crate::output::NewFile;

/// A place for references, checked for writing before there are any.
#[derive(Debug)]
pub(crate) struct ImageRefs(NewFile);

impl ImageRefs {
    /// Prepares writing to `path`, which stays as it is until then.
    ///
    /// # Errors
    /// The system's error, naming the file.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        NewFile::open(path).map(ImageRefs)
    }

    /// Writes one line per reference.
    ///
    /// # Errors
    /// The system's error, naming the file.
    pub(crate) fn write(mut self, references: &[String]) -> Result<()> {
        let text: String = references
            .iter()
            .map(|reference| format!("{reference}\n"))
            .collect();
        self.0.write(text.as_bytes())?;
        self.0.publish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_a_line_a_reference_and_leaves_nothing_beside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("refs");
        std::fs::write(&path, "a much longer text that was here before").unwrap();
        let references = ["a@sha256:1".to_owned(), "b@sha256:2".to_owned()];
        ImageRefs::open(&path).unwrap().write(&references).unwrap();
        let written = std::fs::read_to_string(&path).unwrap();
        assert_eq!(written, "a@sha256:1\nb@sha256:2\n");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
