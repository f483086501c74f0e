//! A file of lines that many processes append to. It is shortened when it has grown too long.

use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::files::{directory_of, private_dir, private_options, replace};
use super::lock::lock;

/// A file of lines, the newest last. It is a hint: any line may be missing or incomplete.
#[derive(Clone, Debug)]
pub struct Lines {
    path: PathBuf,
    most: u64,
    trust: Trust,
}

/// Which files are trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    All,
    /// Only those that no other user can write to.
    Own,
}

impl Lines {
    /// The file at `path`, which may be missing, of about `most` bytes.
    pub fn new(path: PathBuf, most: u64) -> Lines {
        Lines {
            path,
            most,
            trust: Trust::All,
        }
    }

    /// Uses the file only if no other user can have written to it; otherwise replaces it.
    #[must_use]
    pub fn trusting_only_this_user(self) -> Lines {
        let trust = Trust::Own;
        Lines { trust, ..self }
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The text of the file; empty if there is none, or it is not trusted. Blocking, briefly.
    pub fn read(&self) -> Vec<u8> {
        self.try_read().unwrap_or_else(|error| {
            let absent = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory];
            if !absent.contains(&error.kind()) {
                tracing::debug!(path = %self.path.display(), %error, "lines not read");
            }
            Vec::new()
        })
    }

    /// Appends `lines`, each with its line break, after waiting at most `patience` for other
    /// processes. Replaces the text of a file that has grown too long with the result of `shorten`.
    ///
    /// # Errors
    /// If it cannot be written, or other processes hold the lock for too long.
    pub fn append(
        &self,
        lines: &[u8],
        patience: Duration,
        shorten: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> io::Result<()> {
        private_dir(directory_of(&self.path))?;
        // Beside the file, which is replaced.
        let mut beside = self.path.clone().into_os_string();
        beside.push(".lock");
        let _lock = lock(Path::new(&beside), patience)?;
        match self.open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return replace(&self.path, lines);
            }
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        let mut file = private_options().append(true).open(&self.path)?;
        // Ends a line that a crash may have left incomplete.
        file.write_all(&[b"\n", lines].concat())?;
        match file.metadata()?.len() > self.most {
            true => replace(&self.path, &shorten(&self.try_read()?)),
            false => Ok(()),
        }
    }

    fn try_read(&self) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        self.open()?.take(2 * self.most).read_to_end(&mut text)?;
        Ok(text)
    }

    /// Opens the file for reading; [`io::ErrorKind::InvalidData`] if it must be replaced.
    fn open(&self) -> io::Result<File> {
        // Opening a pipe would wait for its other end.
        if !std::fs::metadata(&self.path)?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let file = File::open(&self.path)?;
        let found = file.metadata()?;
        let refused = if found.len() > 2 * self.most {
            "it is too long"
        } else if self.trust == Trust::Own && !is_own(&found) {
            "other users may have written it"
        } else {
            return Ok(file);
        };
        Err(io::Error::new(io::ErrorKind::InvalidData, refused))
    }
}

/// Whether only this user can have written a file.
#[cfg(unix)]
fn is_own(file: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    let others_write = 0o022;
    file.uid() == rustix::process::geteuid().as_raw() && file.mode() & others_write == 0
}

#[cfg(not(unix))]
fn is_own(_: &Metadata) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: Duration = Duration::ZERO;

    fn place() -> (tempfile::TempDir, Lines) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/lines");
        (directory, Lines::new(path, 1000))
    }

    fn keep(text: &[u8]) -> Vec<u8> {
        text.to_vec()
    }

    #[test]
    fn processes_that_add_at_once_lose_nothing() {
        let (_directory, lines) = place();
        let patience = Duration::from_secs(60);
        std::thread::scope(|scope| {
            for process in 0..8 {
                let lines = &lines;
                scope.spawn(move || {
                    for number in 0..8 {
                        let line = format!("{process}-{number}\n");
                        lines.append(line.as_bytes(), patience, keep).unwrap();
                    }
                });
            }
        });
        let text = String::from_utf8(lines.read()).unwrap();
        let count = text.lines().filter(|line| !line.is_empty()).count();
        assert_eq!(count, 64);
    }

    #[test]
    fn a_line_that_was_cut_off_spoils_no_other() {
        let (_directory, lines) = place();
        lines.append(b"one\ntw", AT_ONCE, keep).unwrap();
        lines.append(b"three\n", AT_ONCE, keep).unwrap();
        let text = lines.read();
        let all: Vec<_> = text.split(|byte| *byte == b'\n').collect();
        assert_eq!(all, [b"", &b"one"[..], b"tw", b"three", b""]);
    }

    #[test]
    fn a_file_that_grows_too_long_is_shortened_and_a_foreign_one_replaced() {
        let (_directory, lines) = place();
        lines.append(&[b'x'; 900], AT_ONCE, keep).unwrap();
        let short = |text: &[u8]| text[text.len() - 100..].to_vec();
        lines.append(&[b'y'; 200], AT_ONCE, short).unwrap();
        assert_eq!(lines.read(), [b'y'; 100]);
        std::fs::write(lines.path(), [b'z'; 3000]).unwrap();
        assert_eq!(lines.read(), b"");
        lines.append(b"new\n", AT_ONCE, keep).unwrap();
        assert_eq!(lines.read(), b"new\n");
    }

    #[cfg(unix)]
    #[test]
    fn only_the_user_may_read_the_files() {
        use std::os::unix::fs::PermissionsExt;
        let (directory, lines) = place();
        let mode = |name: &str| {
            let found = std::fs::metadata(directory.path().join(name)).unwrap();
            found.permissions().mode() & 0o777
        };
        lines.append(b"one\n", AT_ONCE, keep).unwrap();
        assert_eq!((mode("new"), mode("new/lines")), (0o700, 0o600));
        assert_eq!(mode("new/lines.lock"), 0o600);
        lines.append(&[b'x'; 1000], AT_ONCE, keep).unwrap();
        assert_eq!(mode("new/lines"), 0o600);
    }
}
