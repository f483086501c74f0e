//! A file that many processes add to: a first line that says what it is, then lines of text.
//!
//! Whoever adds holds a lock beside the file, never for long; so nothing is lost, and what was cut
//! off by a crash is a line that makes no sense. Only its user may read it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The first line; another version's file is started anew.
const FIRST_LINE: &[u8] = b"wharf registries 1\n";

/// How long the lock is waited for; holders write some bytes, or a few megabytes now and then.
const PATIENCE: Duration = Duration::from_millis(250);

/// A file of lines.
#[derive(Clone, Debug)]
pub(super) struct LinesFile {
    directory: PathBuf,
    name: &'static str,
    most: u64,
}

impl LinesFile {
    /// The file `name` in `directory`, neither of which need exist, of `most` bytes.
    pub(super) fn new(directory: &Path, name: &'static str, most: u64) -> LinesFile {
        LinesFile {
            directory: directory.to_owned(),
            name,
            most,
        }
    }

    /// The lines, without the first; nothing where there is no such file.
    pub(super) fn read(&self) -> Vec<u8> {
        match self.contents() {
            Ok(contents) => contents,
            Err(error) => {
                let path = self.path();
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::debug!(path = %path.display(), %error, "memory not read");
                }
                Vec::new()
            }
        }
    }

    /// Adds lines. When the file has grown too long it becomes what `shorten` makes of its lines.
    ///
    /// # Errors
    /// Where it cannot be written, or others write it all the time.
    pub(super) fn append(
        &self,
        lines: &str,
        shorten: impl FnOnce(&[u8]) -> String,
    ) -> io::Result<()> {
        create_directory(&self.directory)?;
        let _locked = self.lock()?;
        match self.is_ours() {
            Ok(true) => {}
            Ok(false) => return self.replace(lines),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.replace(lines),
            Err(error) => return Err(error),
        }
        let mut file = OpenOptions::new().append(true).open(self.path())?;
        // Ends the line that a crash may have left.
        file.write_all(format!("\n{lines}").as_bytes())?;
        if file.metadata()?.len() > self.most {
            drop(file);
            return self.replace(&shorten(&self.contents()?));
        }
        Ok(())
    }

    fn path(&self) -> PathBuf {
        self.directory.join(self.name)
    }

    fn is_ours(&self) -> io::Result<bool> {
        let mut start = vec![0; FIRST_LINE.len()];
        let mut file = self.open()?;
        let length = file.metadata()?.len();
        Ok(
            length >= FIRST_LINE.len() as u64 && length <= 2 * self.most && {
                file.read_exact(&mut start)?;
                start == FIRST_LINE
            },
        )
    }

    /// Only a regular file is opened: nothing waits for the other end of a pipe.
    fn open(&self) -> io::Result<File> {
        let path = self.path();
        match std::fs::metadata(&path)?.is_file() {
            true => File::open(path),
            false => Err(io::Error::other("not a regular file")),
        }
    }

    fn contents(&self) -> io::Result<Vec<u8>> {
        let file = self.open()?;
        let mut bytes = Vec::new();
        file.take(2 * self.most + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > 2 * self.most {
            return Err(io::Error::other("too long"));
        }
        match bytes.strip_prefix(FIRST_LINE) {
            Some(_) => Ok(bytes.split_off(FIRST_LINE.len())),
            None => Err(io::Error::other("not a memory of this version")),
        }
    }

    fn replace(&self, lines: &str) -> io::Result<()> {
        // Of mode 0600.
        let mut target = tempfile::NamedTempFile::new_in(&self.directory)?;
        target.write_all(FIRST_LINE)?;
        target.write_all(lines.as_bytes())?;
        target.persist(self.path())?;
        Ok(())
    }

    fn lock(&self) -> io::Result<File> {
        // Beside the file, which is replaced.
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let path = self.directory.join("lock");
        if std::fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
            return Err(io::Error::other("its lock is not a regular file"));
        }
        let lock = options.open(path)?;
        let end = Instant::now() + PATIENCE;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(lock),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if Instant::now() >= end => {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }
}

fn create_directory(directory: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}
