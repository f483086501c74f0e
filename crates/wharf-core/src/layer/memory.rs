//! A memory of compressed layers, kept between runs.
//!
//! It is a hint: the bytes of a layer are checked when it is sent, and a problem with the file
//! fails nothing. But a layer that the destination has is not made again to check it. So damaged or
//! edited lines, and files that other users can write to, are ignored.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wharf_oci::{Descriptor, Digest, MediaType};

use super::Settings;
use crate::state::Lines;
use crate::sync::Lock;

/// Size in bytes at which the file is rewritten without its oldest lines: some four thousand
/// layers.
const MOST_BYTES: u64 = 1 << 20;

/// Hex digits of the checksum before each line. It detects accidents and edits, not attacks.
const CHECKSUM_DIGITS: usize = 16;

/// A file of layers by diff id and settings, the newest last. Each line is a checksum and a JSON
/// document.
#[derive(Debug)]
pub struct LayerMemory {
    file: Lines,
    entries: Lock<HashMap<(Digest, String), CompressedBlob>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Line {
    diff_id: Digest,
    settings: String,
    /// `None`: the earlier entry is wrong.
    made: Option<CompressedBlob>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct CompressedBlob {
    digest: Digest,
    size: u64,
}

impl LayerMemory {
    /// Reads the memory in the file at `path`, which may be absent. Blocking, briefly.
    pub fn open(path: PathBuf) -> LayerMemory {
        let file = Lines::new(path, MOST_BYTES).trusting_only_this_user();
        let mut entries = HashMap::new();
        for line in lines(&file.read()) {
            let key = (line.diff_id, line.settings);
            match line.made {
                Some(made) => entries.insert(key, made),
                None => entries.remove(&key),
            };
        }
        LayerMemory {
            file,
            entries: Lock::new(entries),
        }
    }

    /// The compressed layer for this diff id and these settings, if remembered.
    pub fn recall(&self, diff_id: &Digest, settings: &Settings) -> Option<Descriptor> {
        let made = self.entries.lock().get(&key(diff_id, settings)).cloned()?;
        Some(Descriptor::new(
            MediaType::DOCKER_LAYER_GZIP,
            made.digest,
            made.size,
        ))
    }

    /// Remembers a compressed layer. Writes one line to the file, or gives up.
    pub fn remember(&self, diff_id: &Digest, settings: &Settings, descriptor: &Descriptor) {
        let made = CompressedBlob {
            digest: descriptor.digest.clone(),
            size: descriptor.size,
        };
        let mut entries = self.entries.lock();
        entries.insert(key(diff_id, settings), made.clone());
        self.note(diff_id, settings, Some(made));
    }

    /// Removes an entry that turned out wrong.
    pub fn forget(&self, diff_id: &Digest, settings: &Settings) {
        let mut entries = self.entries.lock();
        entries.remove(&key(diff_id, settings));
        self.note(diff_id, settings, None);
    }

    fn note(&self, diff_id: &Digest, settings: &Settings, made: Option<CompressedBlob>) {
        let (diff_id, settings) = key(diff_id, settings);
        let line = encoded(&Line {
            diff_id,
            settings,
            made,
        });
        // A process that cannot have the lock at once does without.
        if let Err(error) = self.file.append(&line, Duration::ZERO, without_oldest) {
            tracing::debug!(path = %self.file.path().display(), %error, "layer memory not written");
        }
    }
}

fn key(diff_id: &Digest, settings: &Settings) -> (Digest, String) {
    (diff_id.clone(), settings.fingerprint())
}

/// A line of the file, with its end.
fn encoded(line: &Line) -> Vec<u8> {
    // No line of ours fails: its keys are text.
    let document = serde_json::to_vec(line).unwrap_or_default();
    [checksum(&document).as_bytes(), b" ", &document, b"\n"].concat()
}

/// The well-formed lines of a text, the newest last.
fn lines(text: &[u8]) -> impl Iterator<Item = Line> {
    text.split(|byte| *byte == b'\n').filter_map(decoded)
}

/// A text without the oldest quarter of its lines.
fn without_oldest(text: &[u8]) -> Vec<u8> {
    let all: Vec<Line> = lines(text).collect();
    let kept = all.iter().skip(all.len() / 4).map(encoded);
    kept.collect::<Vec<_>>().concat()
}

/// The entry of a line, unless its checksum is wrong.
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

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write;
    use std::path::Path;

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
        let mut other = lines(&line).next().unwrap();
        other.diff_id = digest(1);
        let other = encoded(&other);
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
