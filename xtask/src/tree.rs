//! The files of the repository: those that git tracks, and new ones that it does not ignore.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::run::listed;

/// Files below a root, named by paths with `/`.
#[derive(Debug)]
pub(crate) struct Tree {
    root: PathBuf,
    files: BTreeSet<String>,
}

impl Tree {
    /// What git lists below `root` and is there.
    pub(crate) fn of(root: PathBuf) -> Result<Self, String> {
        let arguments = [
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ];
        let names = listed(&root, "git", &arguments)?;
        // A file that was removed is still listed until the removal is committed.
        let files = names
            .split('\0')
            .filter(|name| root.join(name).is_file())
            .map(str::to_owned)
            .collect();
        Ok(Tree { root, files })
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(String::as_str)
    }

    /// Whether there is such a file, or a directory with files in it.
    pub(crate) fn has(&self, path: &str) -> bool {
        let inside = format!("{}/", path.trim_end_matches('/'));
        let mut from = self.files.range(inside.clone()..);
        self.files.contains(path) || from.next().is_some_and(|file| file.starts_with(&inside))
    }

    pub(crate) fn read(&self, file: &str) -> Result<String, String> {
        read(&self.root.join(file))
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.root.join(file)
    }
}

/// The text of a file, or an error that names it.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// A tree of these files in a directory that lives as long as the first value.
#[cfg(test)]
pub(crate) fn planted(files: &[(&str, &str)]) -> (tempfile::TempDir, Tree) {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        fs::write(path, text).expect("a file");
    }
    let tree = Tree {
        root: directory.path().to_owned(),
        files: files.iter().map(|(name, _)| (*name).to_owned()).collect(),
    };
    (directory, tree)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_there_when_a_file_is_in_them() {
        let (_directory, tree) = planted(&[("docs/adr/one.md", ""), ("docs/a.md", "")]);
        for there in ["docs", "docs/", "docs/adr", "docs/adr/one.md", "docs/a.md"] {
            assert!(tree.has(there), "{there}");
        }
        for absent in ["doc", "docs/ad", "docs/adr/on", "docs/a"] {
            assert!(!tree.has(absent), "{absent}");
        }
    }

    #[test]
    fn this_repository_is_listed() {
        let tree = Tree::of(crate::run::root()).expect("a checkout");
        assert!(tree.has("xtask/src/tree.rs"));
        assert!(!tree.has("target"));
    }
}
