//! Notes upload sessions on disk, so that the next process continues what a killed one began
//! (wire.md U6).
//!
//! A note is a small file, locked by the process that sends the blob. Other processes do not touch
//! a locked note, and a lock ends with its process. Notes are hints: a lost session costs one
//! request, and file errors fail nothing. A session's URL may grant write access, so only the owner
//! can read the files.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Once;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use url::{Position, Url};
use wharf_core::state;
use wharf_oci::{Digest, Registry, Repository};

/// A directory of notes.
#[derive(Debug)]
pub(crate) struct Journal {
    directory: PathBuf,
    /// The name of the one registry that has another address in each run.
    under: Option<Registry>,
    swept: Once,
}

/// The right to send one blob to one repository, among the processes that share the directory.
#[derive(Debug)]
pub(crate) struct Note {
    path: PathBuf,
    file: File,
    subject: Subject,
    /// Whether the registry has another address in the next run.
    moves: bool,
    /// How many bytes the session had when a try with it failed last; 0 if it did not answer.
    pub(crate) failed: Option<u64>,
}

/// The blob of a note. Stored inside, because a file name may belong to another blob by accident or
/// malice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Subject {
    repository: String,
    digest: Digest,
}

#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(flatten)]
    subject: Subject,
    session: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failed: Option<u64>,
}

/// The smallest blob, in bytes, that gets a note: smaller ones are sent again faster.
pub(crate) const WORTHWHILE: u64 = 4 << 20;

/// Registries drop sessions after days at most.
pub(crate) const LIFETIME: Duration = Duration::from_secs(3 * 24 * 3600);

/// The longest note to read, in bytes.
const LONGEST: u64 = 64 * 1024;

impl Journal {
    /// The notes in `directory`, which may be missing.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Journal {
            directory,
            under: None,
            swept: Once::new(),
        }
    }

    /// The same notes, under this name of the registry, and of URLs the path alone.
    #[must_use]
    pub(crate) fn under(mut self, name: Option<Registry>) -> Self {
        self.under = name;
        self
    }

    /// Takes the note of a blob, unless another process has it. Blocking, briefly.
    pub(crate) fn claim(&self, repository: &Repository, digest: &Digest) -> Option<Note> {
        self.swept
            .call_once(|| state::sweep(&self.directory, LIFETIME));
        let repository = match &self.under {
            Some(name) => format!("{name}/{}", repository.name()),
            None => repository.to_string(),
        };
        let subject = Subject {
            repository,
            digest: digest.clone(),
        };
        let claimed = self.try_claim(subject);
        if let Err(error) = &claimed {
            tracing::debug!(directory = %self.directory.display(), %error, "session not noted");
        }
        claimed.ok().flatten()
    }

    fn try_claim(&self, subject: Subject) -> io::Result<Option<Note>> {
        state::private_dir(&self.directory)?;
        let key = format!("{}\n{}", subject.repository, subject.digest);
        let path = self.directory.join(Digest::of(key.as_bytes()).hex());
        match state::lock(&path, Duration::ZERO) {
            Ok(file) => Ok(Some(Note {
                path,
                file,
                subject,
                moves: self.under.is_some(),
                failed: None,
            })),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Note {
    /// The URL of the session that an earlier process left, if it is not too old; relative to the
    /// registry's root or absolute.
    pub(crate) fn session(&mut self) -> Option<String> {
        let age = self.file.metadata().and_then(|data| data.modified()).ok();
        let age = SystemTime::now().duration_since(age?).unwrap_or_default();
        if age > LIFETIME {
            return None;
        }
        let mut text = String::new();
        self.file.seek(SeekFrom::Start(0)).ok()?;
        (&self.file).take(LONGEST).read_to_string(&mut text).ok()?;
        let line: Line = serde_json::from_str(&text).ok()?;
        self.failed = line.failed;
        (line.subject == self.subject).then_some(line.session)
    }

    /// Writes the current URL of the session.
    pub(crate) fn write(&mut self, session: &Url) {
        if let Err(error) = self.try_write(session) {
            tracing::debug!(path = %self.path.display(), %error, "session not noted");
        }
    }

    fn try_write(&mut self, session: &Url) -> io::Result<()> {
        let line = Line {
            subject: self.subject.clone(),
            failed: self.failed,
            session: match self.moves {
                true => session[Position::BeforePath..].to_owned(),
                false => session.to_string(),
            },
        };
        let text = serde_json::to_vec(&line)?;
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&text)
    }

    /// Empties the note, for another session. If none is written, its file is removed on drop.
    #[must_use]
    pub(crate) fn emptied(mut self) -> Self {
        self.failed = None;
        if let Err(error) = self.file.set_len(0) {
            tracing::debug!(path = %self.path.display(), %error, "note not cleared");
        }
        self
    }

    /// Removes the note: its session has ended.
    pub(crate) fn clear(self) {
        drop(self.emptied());
    }
}

impl Drop for Note {
    /// Removes the file of an empty note, before the lock is released.
    fn drop(&mut self) {
        if self.file.metadata().is_ok_and(|data| data.len() == 0) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn subject() -> (Repository, Digest) {
        ("r.example/a".parse().unwrap(), Digest::of(b"blob"))
    }

    fn session(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn u6_the_next_process_finds_the_session_of_one_that_was_killed() {
        let directory = tempfile::tempdir().unwrap();
        let (repository, digest) = subject();
        let journal = Journal::new(directory.path().join("sessions"));
        let mut note = journal.claim(&repository, &digest).unwrap();
        assert_eq!(note.session(), None);
        note.write(&session("https://r.example/a-long-one?state=1"));
        note.write(&session("https://r.example/2"));
        drop(note);
        let mut note = Journal::new(directory.path().join("sessions"))
            .claim(&repository, &digest)
            .unwrap();
        assert_eq!(note.session().as_deref(), Some("https://r.example/2"));
        note.clear();
        let files = fs::read_dir(directory.path().join("sessions")).unwrap();
        assert_eq!(files.count(), 0);
    }

    #[test]
    fn fault_b13_a_registry_that_moves_is_noted_without_its_address() {
        let directory = tempfile::tempdir().unwrap();
        let (_, digest) = subject();
        let journal = Journal::new(directory.path().to_owned());
        let journal = journal.under(Some("inside.invalid".parse().unwrap()));
        let at = |port: u16| format!("127.0.0.1:{port}/a").parse().unwrap();
        let mut note = journal.claim(&at(1), &digest).unwrap();
        note.write(&session("http://127.0.0.1:1/v2/a/blobs/uploads/7?x=1"));
        drop(note);
        let found = journal.claim(&at(2), &digest).unwrap().session();
        assert_eq!(found.as_deref(), Some("/v2/a/blobs/uploads/7?x=1"));
    }

    #[test]
    fn u6_a_session_that_somebody_uses_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let (repository, digest) = subject();
        let journal = Journal::new(directory.path().to_owned());
        let _held = journal.claim(&repository, &digest).unwrap();
        assert!(journal.claim(&repository, &digest).is_none());
        assert!(journal.claim(&repository, &Digest::of(b"other")).is_some());
    }

    #[test]
    fn a_note_that_is_nonsense_or_about_something_else_is_no_session() {
        let directory = tempfile::tempdir().unwrap();
        let (repository, digest) = subject();
        let journal = Journal::new(directory.path().to_owned());
        let path = journal.claim(&repository, &digest).unwrap().path.clone();
        let other = r#"{"repository":"x/y","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","session":"https://r/"}"#;
        for text in ["", "{", "null", other, "\u{0}\u{0}"] {
            fs::write(&path, text).unwrap();
            let mut note = journal.claim(&repository, &digest).unwrap();
            assert_eq!(note.session(), None, "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn notes_are_for_their_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let (repository, digest) = subject();
        let journal = Journal::new(directory.path().join("sessions"));
        let note = journal.claim(&repository, &digest).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(&note.path), mode(&directory.path().join("sessions"))),
            (0o600, 0o700)
        );
    }
}
