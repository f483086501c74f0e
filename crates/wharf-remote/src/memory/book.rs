//! The memory in one file: read on first use, written at the end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use wharf_core::state::Lines;
use wharf_oci::{Digest, Registry, Repository, Tag};

use super::facts::{Fact, Learned};
use super::line::{self, MemoryLine};
use super::moment::Moment;
use super::sightings::{self, Sighting, Sightings};

/// News that is known and younger than this is not written again.
const FRESH: Duration = Duration::from_secs(24 * 60 * 60);

/// The most bytes that wait to be written, for processes that never save.
const MOST_UNWRITTEN: usize = 4 << 20;

/// How long other processes are waited for: they write some bytes, or sometimes a few megabytes.
const PATIENCE: Duration = Duration::from_millis(250);

/// Hosts of which facts are kept.
const HOSTS: usize = 1000;

/// Digests in one line of a rewritten file.
const DIGESTS_IN_LINE: usize = 50;

/// The limits of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Sightings.
    pub(super) sightings: usize,
    /// Bytes.
    pub(super) bytes: u64,
}

/// What lines say.
#[derive(Debug)]
struct BookContents {
    sightings: Sightings,
    facts: HashMap<Registry, Learned>,
}

/// The memory in one file.
#[derive(Debug)]
pub(super) struct Book {
    bounds: Bounds,
    file: Option<Lines>,
    known: BookContents,
    /// What was learned and is not in the file yet.
    unwritten: Vec<u8>,
    /// Whether what the file says is known.
    loaded: bool,
}

impl Book {
    /// The memory in `file`; without one, that of this process.
    pub(super) fn new(bounds: Bounds, file: Option<Lines>) -> Book {
        Book {
            bounds,
            loaded: file.is_none(),
            file,
            known: BookContents::new(bounds),
            unwritten: Vec::new(),
        }
    }

    /// Reads the file, unless it was read before. Blocking, briefly.
    pub(super) fn load(&mut self) {
        if let Some(file) = self.file.as_ref().filter(|_| !self.loaded) {
            let mut known = BookContents::new(self.bounds);
            known.read(&file.read());
            known.read(&self.unwritten);
            self.known = known;
            self.loaded = true;
        }
    }

    /// The sightings that are known by now.
    pub(super) fn sightings(&self) -> &Sightings {
        &self.known.sightings
    }

    /// The facts that are known by now.
    pub(super) fn facts(&self, host: &Registry) -> Option<&Learned> {
        self.known.facts.get(host)
    }

    pub(super) fn saw(&mut self, repository: &Repository, digest: &Digest, now: Moment) {
        let known = self.sightings().recalls(repository, digest, now);
        if known.is_some_and(|seen| seen.is_within(FRESH, now)) {
            return;
        }
        self.note(MemoryLine::Seen {
            at: now,
            place: repository.into(),
            digests: vec![digest.clone()],
        });
    }

    pub(super) fn saw_tag(
        &mut self,
        repository: &Repository,
        tag: &Tag,
        digest: &Digest,
        now: Moment,
    ) {
        let known = self.sightings().recalls_tag(repository, tag, now);
        if known.is_some_and(|(known, seen)| known == digest && seen.is_within(FRESH, now)) {
            return;
        }
        self.note(MemoryLine::Tag {
            at: now,
            place: repository.into(),
            tag: tag.clone(),
            digest: Some(digest.clone()),
        });
    }

    pub(super) fn forget(&mut self, repository: &Repository, digest: &Digest) {
        self.note(MemoryLine::Gone {
            place: repository.into(),
            digest: digest.clone(),
        });
    }

    pub(super) fn forget_tag(&mut self, repository: &Repository, tag: &Tag, now: Moment) {
        self.note(MemoryLine::Tag {
            at: now,
            place: repository.into(),
            tag: tag.clone(),
            digest: None,
        });
    }

    pub(super) fn learn(&mut self, host: &Registry, fact: Fact, now: Moment) {
        let known = self.facts(host).and_then(|facts| facts.knows(&fact, now));
        if known.is_some_and(|learned| learned.is_within(FRESH, now)) {
            return;
        }
        self.note(MemoryLine::Fact {
            at: now,
            host: host.clone(),
            fact,
        });
    }

    fn note(&mut self, news: MemoryLine) {
        if self.file.is_some() && self.unwritten.len() < MOST_UNWRITTEN {
            line::write(&news, &mut self.unwritten);
        }
        self.known.learn(news);
    }

    /// The file and the text to add to it, which counts as written from now on.
    pub(super) fn unwritten(&mut self) -> Option<Unwritten> {
        let file = self.file.clone()?;
        let text = std::mem::take(&mut self.unwritten);
        (!text.is_empty()).then_some(Unwritten {
            file,
            bounds: self.bounds,
            text,
        })
    }

    /// Takes back that this is written.
    pub(super) fn put_back(&mut self, unwritten: Unwritten) {
        let later = std::mem::replace(&mut self.unwritten, unwritten.text);
        self.unwritten.extend(later);
    }

    #[cfg(test)]
    pub(super) fn is_written(&self) -> bool {
        self.unwritten.is_empty()
    }
}

/// Text on its way to a file.
#[derive(Debug)]
pub(super) struct Unwritten {
    file: Lines,
    bounds: Bounds,
    text: Vec<u8>,
}

impl Unwritten {
    /// Adds the text to its file. Blocking, for about [`PATIENCE`] at most.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn write(&self) -> std::io::Result<()> {
        let shorten = |lines: &[u8]| {
            let mut known = BookContents::new(self.bounds);
            known.read(lines);
            // Half of the limit leaves room, so that not every process must shorten it again.
            let most = usize::try_from(self.bounds.bytes / 2).unwrap_or(usize::MAX);
            known.write(Moment::now(), most)
        };
        self.file.append(&self.text, PATIENCE, shorten)?;
        // What an earlier version kept in another format.
        let _ = std::fs::remove_file(self.file.path().with_extension(""));
        Ok(())
    }
}

impl BookContents {
    fn new(bounds: Bounds) -> BookContents {
        BookContents {
            sightings: Sightings::new(bounds.sightings),
            facts: HashMap::new(),
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        for line in line::read(bytes) {
            self.learn(line);
        }
    }

    fn learn(&mut self, line: MemoryLine) {
        match line {
            MemoryLine::Seen { at, place, digests } => {
                let Some(repository) = place.repository().map(Arc::new) else {
                    return;
                };
                for digest in &digests {
                    self.sightings.saw(&repository, digest, at);
                }
            }
            MemoryLine::Gone { place, digest } => {
                if let Some(repository) = place.repository() {
                    self.sightings.forget(&repository, &digest);
                }
            }
            MemoryLine::Tag {
                at,
                place,
                tag,
                digest,
            } => match (place.repository(), digest) {
                (Some(repository), Some(digest)) => {
                    let repository = Arc::new(repository);
                    self.sightings.saw_tag(&repository, &tag, &digest, at);
                }
                (Some(repository), None) => self.sightings.forget_tag(&repository, &tag),
                (None, _) => {}
            },
            MemoryLine::Fact { at, host, fact } => {
                if self.facts.len() < HOSTS || self.facts.contains_key(&host) {
                    self.facts.entry(host).or_default().learn(fact, at);
                }
            }
        }
    }

    /// The lines that say what is not too old at `now`: the newest, in about `most` bytes.
    fn write(&self, now: Moment, most: usize) -> Vec<u8> {
        let mut text = Vec::new();
        for (host, learned) in &self.facts {
            for (fact, at) in learned.iter(now) {
                let host = host.clone();
                line::write(&MemoryLine::Fact { at, host, fact }, &mut text);
            }
        }
        let mut all = self.sightings.newest_first();
        all.retain(|sighting| sighting.seen.is_within(sightings::AGE, now));
        let together = |one: &Sighting<'_>, next: &Sighting<'_>| {
            (one.seen, one.repository) == (next.seen, next.repository)
        };
        let parts = all.chunk_by(together);
        for part in parts.flat_map(|part| part.chunks(DIGESTS_IN_LINE)) {
            if text.len() > most {
                break;
            }
            write_part(part, &mut text);
        }
        text
    }
}

/// Writes sightings of one moment and one repository.
fn write_part(part: &[Sighting<'_>], text: &mut Vec<u8>) {
    let Some(first) = part.first() else {
        return;
    };
    let (at, place) = (first.seen, line::RepositoryParts::from(&**first.repository));
    for sighting in part {
        if let Some(tag) = sighting.tag {
            let news = MemoryLine::Tag {
                at,
                place: place.clone(),
                tag: tag.clone(),
                digest: Some(sighting.digest.clone()),
            };
            line::write(&news, text);
        }
    }
    let digests = part.iter().filter(|sighting| sighting.tag.is_none());
    let digests: Vec<_> = digests.map(|sighting| sighting.digest.clone()).collect();
    if !digests.is_empty() {
        line::write(&MemoryLine::Seen { at, place, digests }, text);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Moment = Moment(1_800_000_000);

    fn known(text: &[u8]) -> BookContents {
        let mut known = BookContents::new(Bounds {
            sightings: 50,
            bytes: 0,
        });
        known.read(text);
        known
    }

    fn repository(name: &str) -> Repository {
        name.parse().unwrap()
    }

    fn seen(repository: &Repository, digest: &Digest, at: Moment) -> MemoryLine {
        MemoryLine::Seen {
            at,
            place: repository.into(),
            digests: vec![digest.clone()],
        }
    }

    fn text(lines: &[MemoryLine]) -> Vec<u8> {
        let mut text = Vec::new();
        for line in lines {
            line::write(line, &mut text);
        }
        text
    }

    #[test]
    fn what_is_written_is_read_back() {
        let app = repository("r.io:5000/a/pp");
        let other = Repository::new("docker.io".parse().unwrap(), "x".parse().unwrap()).unwrap();
        let one = Digest::of(b"1");
        let two = Digest::of_with(wharf_oci::Algorithm::Sha512, b"2");
        let tag: Tag = "v1".parse().unwrap();
        let lines = text(&[
            seen(&app, &one, NOW),
            seen(&other, &two, NOW),
            MemoryLine::Tag {
                at: NOW,
                place: (&other).into(),
                tag: tag.clone(),
                digest: Some(two.clone()),
            },
            MemoryLine::Fact {
                at: NOW,
                host: app.registry().clone(),
                fact: Fact::Referrers(false),
            },
            seen(&other, &one, NOW),
            MemoryLine::Gone {
                place: (&other).into(),
                digest: one.clone(),
            },
        ]);
        let first = known(&lines);
        for known in [&first, &known(&first.write(NOW, usize::MAX))] {
            let sightings = &known.sightings;
            assert_eq!(sightings.newest_first().len(), 3);
            assert_eq!(sightings.recalls(&app, &one, NOW), Some(NOW));
            assert_eq!(sightings.recalls(&other, &two, NOW), Some(NOW));
            assert_eq!(sightings.recalls_tag(&other, &tag, NOW), Some((&two, NOW)));
            let facts = known.facts[app.registry()].facts(NOW);
            assert_eq!(facts.referrers, Some(false));
        }
    }

    #[test]
    fn lines_that_make_no_sense_are_passed_over() {
        let app = repository("r.io/app");
        let good = text(&[seen(&app, &Digest::of(b"1"), NOW)]);
        let good = String::from_utf8(good).unwrap();
        for (from, to) in [
            ("r.io", "r.i\u{fffd}o"),
            ("\"app\"", "\"APP\""),
            ("sha256:", "sha256:0"),
            ("\"at\":1800000000,", ""),
            ("seen", "felt"),
            ("}", ""),
        ] {
            let bad = good.replace(from, to);
            assert_ne!(bad, good);
            let known = known(format!("{bad}{good}").as_bytes());
            assert_eq!(known.sightings.newest_first().len(), 1, "{bad}");
        }
        let long = format!(
            r#"{{"fact":{{"at":1800000000,"host":"r.io","fact":{{"challenge":"{}"}}}}}}"#,
            "x".repeat(2000)
        );
        assert!(known(long.as_bytes()).facts.is_empty());
    }

    #[test]
    fn writing_ends_at_the_limit_with_the_newest() {
        let mut known = BookContents::new(Bounds {
            sightings: 1000,
            bytes: 0,
        });
        let app = repository("r.io/app");
        for number in 0..1000_u64 {
            let digest = Digest::of(&number.to_be_bytes());
            known.learn(seen(&app, &digest, Moment(NOW.0 - number)));
        }
        let text = String::from_utf8(known.write(NOW, 10_000)).unwrap();
        assert!(text.len() < 10_200, "{}", text.len());
        assert!(text.contains(&Digest::of(&0_u64.to_be_bytes()).to_string()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>) {
            prop_assert!(known(&bytes).sightings.newest_first().len() <= 50);
        }

        #[test]
        fn any_lines_are_read_and_bounded(
            numbers in prop::collection::vec((any::<u8>(), any::<u64>(), any::<bool>()), 0..300),
        ) {
            let lines: Vec<_> = numbers.iter().map(|(number, at, gone)| {
                let app = repository(&format!("r.io/app{}", number % 7));
                let (place, digest) = ((&app).into(), Digest::of(&[*number]));
                match gone {
                    true => MemoryLine::Gone { place, digest },
                    false => seen(&app, &digest, Moment(*at)),
                }
            }).collect();
            let known_once = known(&text(&lines));
            let count = known_once.sightings.newest_first().len();
            prop_assert!(count <= 50);
            let again = known(&known_once.write(NOW, usize::MAX));
            prop_assert!(again.sightings.newest_first().len() <= count);
        }

        #[test]
        fn a_text_that_was_cut_off_keeps_the_lines_before(cut in 0_usize..8000) {
            let app = repository("r.io/app");
            let lines: Vec<_> = (0..50_u8).map(|n| seen(&app, &Digest::of(&[n]), NOW)).collect();
            let text = text(&lines);
            let bytes = &text[..cut.min(text.len())];
            let whole = bytes.iter().filter(|byte| **byte == b'\n').count();
            let found = known(bytes).sightings.newest_first().len();
            prop_assert!(found == whole || found == whole + 1, "{found} of {whole}");
        }
    }
}
