//! Private directories and files, replaced as a whole and swept when they are old.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// The most files checked in one sweep.
const SWEPT_AT_ONCE: usize = 1000;

/// Creates `directory`, and those above it, for this user only. Existing ones stay as they are.
///
/// # Errors
/// If it cannot be created.
pub fn private_dir(directory: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    private_builder(&mut builder);
    builder.recursive(true).create(directory)
}

/// Replaces `path` with a private file of `bytes`. Other processes see the old or the new file,
/// complete.
///
/// # Errors
/// If it cannot be written; `path` is unchanged then.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Of mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(directory_of(path))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Removes the files of `directory` that were not written to for `lifetime`.
pub fn sweep(directory: &Path, lifetime: Duration) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.take(SWEPT_AT_ONCE).flatten() {
        let modified = entry.metadata().and_then(|data| data.modified());
        let age = modified.map(|time| SystemTime::now().duration_since(time).unwrap_or_default());
        if age.is_ok_and(|age| age > lifetime) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Options that create a file for this user only.
pub(super) fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true);
    private_mode(&mut options);
    options
}

/// The directory of `path`, which may be a bare name.
pub(super) fn directory_of(path: &Path) -> &Path {
    let parent = path.parent();
    let parent = parent.filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

#[cfg(unix)]
fn private_builder(builder: &mut DirBuilder) {
    std::os::unix::fs::DirBuilderExt::mode(builder, 0o700);
}

#[cfg(not(unix))]
fn private_builder(_: &mut DirBuilder) {}

#[cfg(unix)]
fn private_mode(options: &mut OpenOptions) {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
}

#[cfg(not(unix))]
fn private_mode(_: &mut OpenOptions) {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn a_sweep_removes_old_files_only() {
        let directory = tempfile::tempdir().unwrap();
        let place = |name: &str| directory.path().join(name);
        let day = Duration::from_secs(24 * 3600);
        let old = File::create(place("old")).unwrap();
        old.set_modified(SystemTime::now() - 2 * day).unwrap();
        fs::write(place("new"), "").unwrap();
        sweep(directory.path(), day);
        assert!(!place("old").exists() && place("new").exists());
    }
}
