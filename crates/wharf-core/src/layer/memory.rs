//! What layers became when they were compressed, remembered from run to run.
//!
//! It is a hint: whoever sends a layer checks the bytes, and trouble with the file fails nothing.
//! But a layer that is there already is not made again to see whether it is the right one, so
//! lines that were damaged or edited, and files that others could write to, are not believed.

use std::collections::HashMap;
use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wharf_oci::{Descriptor, Digest, MediaType};

use crate::sync::Lock;

use super::Settings;

/// Bytes at which the file is rewritten without its older lines: some four thousand layers.
const MOST_BYTES: u64 = 1 << 20;

/// The most bytes that are read of a file that grew in another way.
const MOST_READ: u64 = 8 * MOST_BYTES;

/// Hex digits of the checksum before each line: against accidents and edits, not against attacks.
const CHECKSUM_DIGITS: usize = 16;

/// A file of layers by diff id and settings, the newest last: a line for each, a JSON document
/// behind its checksum.
#[derive(Debug)]
pub struct LayerMemory {
    path: PathBuf,
    entries: Lock<HashMap<(Digest, String), Made>>,
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
            entries: Lock::new(entries),
        }
    }

    /// What the layer with this diff id becomes when compressed so, if that is remembered.
    pub fn recall(&self, diff_id: &Digest, settings: &Settings) -> Option<Descriptor> {
        let made = self.entries.lock().get(&key(diff_id, settings)).cloned()?;
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
        let mut entries = self.entries.lock();
        entries.insert(key(diff_id, settings), made.clone());
        self.note(diff_id, settings, Some(made));
    }

    /// Takes back what turned out wrong.
    pub fn forget(&self, diff_id: &Digest, settings: &Settings) {
        let mut entries = self.entries.lock();
        entries.remove(&key(diff_id, settings));
        self.note(diff_id, settings, None);
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
        create_private(self.directory())?;
        // Beside the file, which is replaced. Whoever cannot have it at once does without.
        let mut beside = self.path.clone().into_os_string();
        beside.push(".lock");
        let lock = private().truncate(false).write(true).open(beside)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(std::io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let text = encoded(line)?;
        let mut file = private().append(true).open(&self.path)?;
        if !is_trusted(&file.metadata()?) {
            return self.replace(&text);
        }
        // Ends the line that a crash may have left.
        file.write_all(&[b"\n", text.as_slice()].concat())?;
        self.compact()
    }

    fn directory(&self) -> &Path {
        let parent = self.path.parent();
        let parent = parent.filter(|parent| !parent.as_os_str().is_empty());
        parent.unwrap_or(".".as_ref())
    }

    /// Drops the oldest quarter of the lines when there are too many. The lock must be held.
    fn compact(&self) -> std::io::Result<()> {
        if std::fs::metadata(&self.path)?.len() <= MOST_BYTES {
            return Ok(());
        }
        let lines = read(&self.path);
        let kept = lines.iter().skip(lines.len() / 4).map(encoded);
        self.replace(&kept.collect::<std::io::Result<Vec<_>>>()?.concat())
    }

    fn replace(&self, text: &[u8]) -> std::io::Result<()> {
        // Of mode 0600.
        let mut target = tempfile::NamedTempFile::new_in(self.directory())?;
        target.write_all(text)?;
        target.persist(&self.path)?;
        Ok(())
    }
}

fn key(diff_id: &Digest, settings: &Settings) -> (Digest, String) {
    (diff_id.clone(), settings.fingerprint())
}

/// A line of the file, with its end.
fn encoded(line: &Line) -> std::io::Result<Vec<u8>> {
    let document = serde_json::to_vec(line)?;
    Ok([checksum(&document).as_bytes(), b" ", &document, b"\n"].concat())
}

/// What a line says, unless its bytes are not those that were written.
fn decoded(line: &[u8]) -> Option<Line> {
    let (check, rest) = line.split_at_checked(CHECKSUM_DIGITS)?;
    let document = rest.strip_prefix(b" ")?;
    let right = check == checksum(document).as_bytes();
    right.then(|| serde_json::from_slice(document).ok())?
}

fn checksum(document: &[u8]) -> String {
    let digest = Digest::of(document);
    digest.hex().chars().take(CHECKSUM_DIGITS).collect()
}

/// The lines of the file that make sense, the newest last.
fn read(path: &Path) -> Vec<Line> {
    let opened = File::open(path).and_then(|file| match is_trusted(&file.metadata()?) {
        true => Ok(file),
        false => Err(std::io::Error::other("others may have written it")),
    });
    let file = match opened {
        Ok(file) => file,
        Err(error) => {
            tracing::debug!(path = %path.display(), %error, "layer memory not read");
            return Vec::new();
        }
    };
    let lines = BufReader::new(file.take(MOST_READ)).split(b'\n');
    lines
        .map_while(Result::ok)
        .filter_map(|line| decoded(&line))
        .collect()
}

/// Whether only the user can have written a file.
#[cfg(unix)]
fn is_trusted(file: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    let others_write = 0o022;
    file.uid() == rustix::process::geteuid().as_raw() && file.mode() & others_write == 0
}

#[cfg(not(unix))]
fn is_trusted(_: &Metadata) -> bool {
    true
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
fn create_private(directory: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(directory)
}

#[cfg(not(unix))]
fn create_private(directory: &Path) -> std::io::Result<()> {
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
    fn does_not_believe_lines_that_were_changed_or_have_no_checksum() {
        let (_directory, path) = place();
        let settings = Settings::default();
        let memory = LayerMemory::open(path.clone());
        memory.remember(&digest(1), &settings, &made(1));
        memory.remember(&digest(2), &settings, &made(2));
        let text = std::fs::read_to_string(&path).unwrap();
        let edited = text.replace(made(1).digest.hex(), made(2).digest.hex());
        assert_ne!(edited, text);
        std::fs::write(&path, edited).unwrap();
        let memory = LayerMemory::open(path.clone());
        assert_eq!(memory.recall(&digest(1), &settings), None);
        assert_eq!(memory.recall(&digest(2), &settings), Some(made(2)));

        let bare = text
            .lines()
            .map(|line| line.split_once(' ').map_or("", |(_, rest)| rest));
        std::fs::write(&path, bare.collect::<Vec<_>>().join("\n")).unwrap();
        let memory = LayerMemory::open(path);
        assert_eq!(memory.recall(&digest(2), &settings), None);
    }

    #[cfg(unix)]
    #[test]
    fn does_not_believe_a_file_that_others_may_have_written_and_starts_it_anew() {
        use std::os::unix::fs::{PermissionsExt, chown};

        let spoilt: [fn(&Path) -> std::io::Result<()>; 3] = [
            |path| std::fs::set_permissions(path, PermissionsExt::from_mode(0o620)),
            |path| std::fs::set_permissions(path, PermissionsExt::from_mode(0o602)),
            |path| chown(path, Some(1), None),
        ];
        for spoil in spoilt {
            let (_directory, path) = place();
            let settings = Settings::default();
            LayerMemory::open(path.clone()).remember(&digest(1), &settings, &made(1));
            match spoil(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                    eprintln!("skipped: only root may give a file away");
                    continue;
                }
                done => done.unwrap(),
            }
            let memory = LayerMemory::open(path.clone());
            assert_eq!(memory.recall(&digest(1), &settings), None);
            memory.remember(&digest(2), &settings, &made(2));
            let memory = LayerMemory::open(path);
            assert_eq!(memory.recall(&digest(1), &settings), None);
            assert_eq!(memory.recall(&digest(2), &settings), Some(made(2)));
        }
    }

    #[test]
    fn keeps_the_newest_when_there_are_too_many() {
        let (_directory, path) = place();
        let settings = Settings::default();
        let memory = LayerMemory::open(path.clone());
        memory.remember(&digest(0), &settings, &made(0));
        let line = std::fs::read(&path).unwrap();
        let mut other = read(&path).pop().unwrap();
        other.diff_id = digest(1);
        let other = encoded(&other).unwrap();
        let count = MOST_BYTES as usize / other.len();
        let others = other.repeat(count);
        std::fs::write(&path, [line, others].concat()).unwrap();
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
