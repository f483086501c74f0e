//! The place where a file system is written before it appears in its directory.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::writer::Owned;
use crate::{Error, ErrorKind, Result};

/// A new directory. Dropped before [`Staging::appear`], it leaves nothing.
#[derive(Debug)]
pub(super) struct Staging {
    place: PathBuf,
    target: PathBuf,
    found: Found,
}

/// What is at the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// Nothing: the new directory is beside it, and is renamed.
    Nothing,
    /// An empty directory, perhaps one that cannot be renamed: the new one is in it, and what is in
    /// that is moved up.
    Empty,
}

impl Staging {
    /// # Errors
    /// [`ErrorKind::Invalid`] if `target` is no directory, or is not empty; the system's errors.
    pub(super) fn new(target: &Path) -> Result<Self> {
        let named = |error| Error::io(target.display(), error);
        let found = match fs::read_dir(target) {
            Ok(mut entries) => match entries.next().transpose().map_err(named)? {
                None => Found::Empty,
                Some(_) => {
                    let error = Error::new(ErrorKind::Invalid, "the directory is not empty");
                    return Err(error.target(target.display()));
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Found::Nothing,
            Err(error) => return Err(named(error)),
        };
        let folder = match (found, target.parent()) {
            (Found::Empty, _) => target,
            (Found::Nothing, Some(folder)) if folder != Path::new("") => folder,
            (Found::Nothing, _) => Path::new("."),
        };
        let made = tempfile::Builder::new()
            .prefix(".wharf-")
            .make_in(folder, |path| {
                fs::DirBuilder::new().mode(0o700).create(path)
            });
        let (_, place) = made.map_err(named)?.into_parts();
        let place = place.keep().map_err(|error| named(error.error))?;
        Ok(Staging {
            place,
            target: target.to_owned(),
            found,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.place
    }

    /// Makes the content appear at the target. `last` does the rest of the work in it.
    pub(super) fn appear<T>(self, last: impl FnOnce(&Path, Owned) -> Result<T>) -> Result<T> {
        let named = |error| Error::io(self.target.display(), error);
        match self.found {
            Found::Nothing => {
                let done = last(&self.place, Owned::Here)?;
                fs::rename(&self.place, &self.target).map_err(named)?;
                Ok(done)
            }
            Found::Empty => {
                let names = self.move_up().map_err(named)?;
                // It would change the time of the target when it is removed later.
                drop(fs::remove_dir(&self.place));
                let done = last(&self.target, Owned::Elsewhere);
                done.inspect_err(|_| {
                    names
                        .iter()
                        .for_each(|name| remove(&self.target.join(name)))
                })
            }
        }
    }

    /// Moves everything into the target, or nothing.
    fn move_up(&self) -> io::Result<Vec<OsString>> {
        let entries = fs::read_dir(&self.place)?;
        let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
        let names: Vec<OsString> = names.collect::<io::Result<_>>()?;
        for (moved, name) in names.iter().enumerate() {
            if let Err(error) = fs::rename(self.place.join(name), self.target.join(name)) {
                self.move_back(names.get(..moved).unwrap_or_default());
                return Err(error);
            }
        }
        Ok(names)
    }

    /// What is in the new directory is removed with it.
    fn move_back(&self, names: &[OsString]) {
        for name in names {
            drop(fs::rename(self.target.join(name), self.place.join(name)));
        }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        remove(&self.place);
    }
}

/// Removes what this process wrote, as far as that is possible.
fn remove(path: &Path) {
    let is_directory = fs::symlink_metadata(path).is_ok_and(|there| there.is_dir());
    let removed = match is_directory {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    };
    if removed.is_err() && is_directory {
        // Modes of the image may keep even the owner out of a directory.
        drop(open_up(path));
        drop(fs::remove_dir_all(path));
    }
}

/// Lets the owner into all directories below `directory`.
fn open_up(directory: &Path) -> io::Result<()> {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}
