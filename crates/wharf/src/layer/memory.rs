//! What layers became when they were compressed, remembered from run to run.
//!
//! It is a hint: whoever uses it checks the bytes, and trouble with the file fails nothing.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use wharf_oci::{Descriptor, Digest, MediaType};

use super::Settings;

/// Bytes at which the file is rewritten without its older lines: some four thousand layers.
const MOST_BYTES: u64 = 1 << 20;

/// The most bytes that are read of a file that grew in another way.
const MOST_READ: u64 = 8 * MOST_BYTES;

/// A file of layers by diff id and settings, the newest last, one JSON document a line.
#[derive(Debug)]
pub struct LayerMemory {
    path: PathBuf,
    entries: Mutex<HashMap<(Digest, String), Made>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Line {
    diff_id: Digest,
    settings: String,
    /// Nothing: what was remembered before is wrong.
    made: Option<Made>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Made {
    digest: Digest,
    size: u64,
}

impl LayerMemory {
    /// Reads the memory in the file at `path`, which need not exist. Blocking, briefly.
    pub fn open(path: PathBuf) -> LayerMemory {
        let mut entries = HashMap::new();
        for line in read(&path) {
            let key = (line.diff_id, line.settings);
            match line.made {
                Some(made) => entries.insert(key, made),
                None => entries.remove(&key),
            };
        }
        LayerMemory {
            path,
            entries: Mutex::new(entries),
        }
    }

    /// What the layer with this diff id becomes when compressed so, if that is remembered.
    pub fn recall(&self, diff_id: &Digest, settings: &Settings) -> Option<Descriptor> {
        let made = self.entries().get(&key(diff_id, settings)).cloned()?;
        Some(Descriptor::new(
            MediaType::DOCKER_LAYER_GZIP,
            made.digest,
            made.size,
        ))
    }

    /// Remembers what a layer became. Writes one line to the file, or gives up.
    pub fn remember(&self, diff_id: &Digest, settings: &Settings, descriptor: &Descriptor) {
        let made = Made {
            digest: descriptor.digest.clone(),
            size: descriptor.size,
        };
        let mut entries = self.entries();
        entries.insert(key(diff_id, settings), made.clone());
        self.note(diff_id, settings, Some(made));
    }

    /// Takes back what turned out wrong.
    pub fn forget(&self, diff_id: &Digest, settings: &Settings) {
        let mut entries = self.entries();
        entries.remove(&key(diff_id, settings));
        self.note(diff_id, settings, None);
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<(Digest, String), Made>> {
        // No code that holds the lock can panic half-way through a change.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, diff_id: &Digest, settings: &Settings, made: Option<Made>) {
        let (diff_id, settings) = key(diff_id, settings);
        if let Err(error) = self.append(&Line {
            diff_id,
            settings,
            made,
        }) {
            tracing::debug!(path = %self.path.display(), %error, "layer memory not written");
        }
    }

    fn append(&self, line: &Line) -> std::io::Result<()> {
        let directory = self
            .path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        create_private(directory.unwrap_or(".".as_ref()))?;
        // Beside the file, which is replaced. Whoever cannot have it at once does without.
        let mut beside = self.path.clone().into_os_string();
        beside.push(".lock");
        let lock = private().truncate(false).write(true).open(beside)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(std::io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        private().append(true).open(&self.path)?.write_all(&text)?;
        self.compact()
    }

    /// Drops the oldest quarter of the lines when there are too many. The lock must be held.
    fn compact(&self) -> std::io::Result<()> {
        if std::fs::metadata(&self.path)?.len() <= MOST_BYTES {
            return Ok(());
        }
        let lines = read(&self.path);
        let directory = self
            .path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let mut target = tempfile::NamedTempFile::new_in(directory.unwrap_or(".".as_ref()))?;
        let mut text = Vec::new();
        for line in lines.iter().skip(lines.len() / 4) {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        target.write_all(&text)?;
        target.persist(&self.path)?;
        Ok(())
    }
}

fn key(diff_id: &Digest, settings: &Settings) -> (Digest, String) {
    (diff_id.clone(), settings.fingerprint())
}

/// The lines of the file that make sense, the newest last.
fn read(path: &std::path::Path) -> Vec<Line> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) => {
            tracing::debug!(path = %path.display(), %error, "layer memory not read");
            return Vec::new();
        }
    };
    let lines = BufReader::new(file.take(MOST_READ)).split(b'\n');
    lines
        .map_while(Result::ok)
        .filter_map(|line| serde_json::from_slice(&line).ok())
        .collect()
}

/// Whoever can write here can have other layers taken for ours.
#[cfg(unix)]
fn private() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.create(true).mode(0o600);
    options
}

#[cfg(not(unix))]
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true);
    options
}

#[cfg(unix)]
fn create_private(directory: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(directory)
}

#[cfg(not(unix))]
fn create_private(directory: &std::path::Path) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: usize) -> Digest {
        Digest::of(number.to_string().as_bytes())
    }

    fn made(number: usize) -> Descriptor {
        Descriptor::new(
            MediaType::DOCKER_LAYER_GZIP,
            digest(number + 1_000_000),
            number as u64,
        )
    }

    fn place() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cache/layers.jsonl");
        (directory, path)
    }

    #[test]
    fn recalls_in_another_run_what_was_remembered_for_the_same_settings() {
        let (_directory, path) = place();
        let settings = Settings::default();
        let memory = LayerMemory::open(path.clone());
        assert_eq!(memory.recall(&digest(1), &settings), None);
        memory.remember(&digest(1), &settings, &made(1));
        let memory = LayerMemory::open(path);
        assert_eq!(memory.recall(&digest(1), &settings), Some(made(1)));
        let other = Settings {
            level: settings.level + 1,
        };
        assert_eq!(memory.recall(&digest(1), &other), None);
    }

    #[test]
    fn forgets_for_good() {
        let (_directory, path) = place();
        let settings = Settings::default();
        let memory = LayerMemory::open(path.clone());
        memory.remember(&digest(1), &settings, &made(1));
        memory.forget(&digest(1), &settings);
        assert_eq!(memory.recall(&digest(1), &settings), None);
        assert_eq!(LayerMemory::open(path).recall(&digest(1), &settings), None);
    }

    #[test]
    fn ignores_lines_that_make_no_sense() {
        let (_directory, path) = place();
        let settings = Settings::default();
        LayerMemory::open(path.clone()).remember(&digest(1), &settings, &made(1));
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"diff_id\":\"sha256:ab\n\xff\n").unwrap();
        LayerMemory::open(path.clone()).remember(&digest(2), &settings, &made(2));
        let memory = LayerMemory::open(path);
        assert_eq!(memory.recall(&digest(1), &settings), Some(made(1)));
        assert_eq!(memory.recall(&digest(2), &settings), Some(made(2)));
    }

    #[test]
    fn keeps_the_newest_when_there_are_too_many() {
        let (_directory, path) = place();
        let settings = Settings::default();
        let memory = LayerMemory::open(path.clone());
        memory.remember(&digest(0), &settings, &made(0));
        let line = std::fs::read(&path).unwrap();
        let count = MOST_BYTES as usize / line.len();
        let other = String::from_utf8(line.clone()).unwrap();
        let other = other.replace(digest(0).hex(), digest(1).hex());
        std::fs::write(&path, [line, other.repeat(count).into_bytes()].concat()).unwrap();
        let last = count + 1;
        memory.remember(&digest(last), &settings, &made(last));
        assert!(std::fs::metadata(&path).unwrap().len() < MOST_BYTES * 4 / 5);
        let memory = LayerMemory::open(path);
        assert_eq!(memory.recall(&digest(0), &settings), None);
        assert_eq!(memory.recall(&digest(last), &settings), Some(made(last)));
    }

    #[test]
    fn does_without_a_file_that_cannot_be_written() {
        let directory = tempfile::tempdir().unwrap();
        let memory = LayerMemory::open(directory.path().to_owned());
        memory.remember(&digest(1), &Settings::default(), &made(1));
        assert_eq!(
            memory.recall(&digest(1), &Settings::default()),
            Some(made(1))
        );
    }
}
