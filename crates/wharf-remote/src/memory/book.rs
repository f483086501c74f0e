//! What is remembered in one file: read when it is first asked for, added to at the end.

use std::time::Duration;

use wharf_oci::{Digest, Registry, Repository, Tag};

use super::facts::Fact;
use super::file::LinesFile;
use super::moment::Moment;
use super::text::{Journal, Memories};

/// What is known and younger than this is not written again.
const FRESH: Duration = Duration::from_secs(24 * 60 * 60);

/// Bytes that wait to be written; a process that never saves remembers less.
const MOST_UNWRITTEN: usize = 4 << 20;

/// How much a file may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Sightings.
    pub(super) sightings: usize,
    /// Bytes.
    pub(super) bytes: u64,
}

/// One file's memories.
#[derive(Debug)]
pub(super) struct Book {
    bounds: Bounds,
    file: Option<LinesFile>,
    memories: Memories,
    journal: Journal,
    /// Whether what the file says is among the memories.
    loaded: bool,
}

impl Book {
    /// What `file` says; without one, what this process learns.
    pub(super) fn new(bounds: Bounds, file: Option<LinesFile>) -> Book {
        Book {
            bounds,
            loaded: file.is_none(),
            file,
            memories: Memories::new(bounds.sightings),
            journal: Journal::default(),
        }
    }

    /// The memories, those of the file too. Blocking, briefly, the first time.
    pub(super) fn all(&mut self) -> &Memories {
        if let Some(file) = self.file.as_ref().filter(|_| !self.loaded) {
            let mut memories = Memories::new(self.bounds.sightings);
            memories.read(&file.read());
            memories.read(self.journal.text().as_bytes());
            self.memories = memories;
            self.loaded = true;
        }
        &self.memories
    }

    /// What is known without reading the file.
    pub(super) fn at_hand(&self) -> &Memories {
        &self.memories
    }

    pub(super) fn saw(&mut self, repository: &Repository, digest: &Digest, now: Moment) {
        let known = self.memories.sightings.recalls(repository, digest, now);
        if known.is_some_and(|seen| seen.is_within(FRESH, now)) {
            return;
        }
        self.memories.sightings.saw(repository, digest, now);
        if let Some(journal) = self.journal() {
            journal.saw(repository, digest, now);
        }
    }

    pub(super) fn saw_tag(
        &mut self,
        repository: &Repository,
        tag: &Tag,
        digest: &Digest,
        now: Moment,
    ) {
        let known = self.memories.sightings.recalls_tag(repository, tag, now);
        if known.is_some_and(|(known, seen)| known == digest && seen.is_within(FRESH, now)) {
            return;
        }
        let sightings = &mut self.memories.sightings;
        sightings.saw_tag(repository, tag, digest, now);
        if let Some(journal) = self.journal() {
            journal.saw_tag(repository, tag, digest, now);
        }
    }

    pub(super) fn forget(&mut self, repository: &Repository, digest: &Digest, now: Moment) {
        self.memories.sightings.forget(repository, digest);
        if let Some(journal) = self.journal() {
            journal.forget(repository, digest, now);
        }
    }

    pub(super) fn forget_tag(&mut self, repository: &Repository, tag: &Tag, now: Moment) {
        self.memories.sightings.forget_tag(repository, tag);
        if let Some(journal) = self.journal() {
            journal.forget_tag(repository, tag, now);
        }
    }

    pub(super) fn learn(&mut self, host: &Registry, fact: Fact, now: Moment) {
        let known = self.memories.facts.get(host);
        let known = known.and_then(|facts| facts.knows(&fact, now));
        if known.is_some_and(|learned| learned.is_within(FRESH, now)) {
            return;
        }
        self.memories.learn(host, fact.clone(), now);
        if let Some(journal) = self.journal() {
            journal.learned(host, fact, now);
        }
    }

    /// Where to write it, and what: it is taken as written.
    pub(super) fn unwritten(&mut self) -> Option<(LinesFile, String)> {
        let file = self.file.clone()?;
        let text = self.journal.take();
        (!text.is_empty()).then_some((file, text))
    }

    #[cfg(test)]
    pub(super) fn is_written(&self) -> bool {
        self.journal.text().is_empty()
    }

    /// Takes back that `text` is written.
    pub(super) fn put_back(&mut self, text: String) {
        self.journal.put_back(text);
    }

    /// Where news is written down, unless there is no file for it, or too much of it.
    fn journal(&mut self) -> Option<&mut Journal> {
        let room = self.journal.text().len() < MOST_UNWRITTEN;
        (self.file.is_some() && room).then_some(&mut self.journal)
    }
}

impl Bounds {
    /// The lines of a file that has grown too long, without what is old or said twice.
    pub(super) fn shorten(self, lines: &[u8]) -> String {
        let mut memories = Memories::new(self.sightings);
        memories.read(lines);
        // Half of it leaves room: not every process has to do this again.
        let most = usize::try_from(self.bytes / 2).unwrap_or(usize::MAX);
        memories.write(Moment::now(), most)
    }
}
