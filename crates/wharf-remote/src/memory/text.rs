//! How memories are written: lines of text below headings, pure to write and to read.
//!
//! Reading takes any bytes: lines that make no sense are passed over.
//!
//! ```text
//! @1795481229 registry.example/app     what follows was so then, in this repository:
//! +sha256:ab…                          this was there
//! -sha256:cd…                          this was not there, whatever was said before
//! =v1 sha256:ab…                       the tag named this
//! /v2                                  the tag named nothing
//! %1795481229 registry.example         what follows was so then, of this host:
//! !scheme http                         a fact
//! ```

use std::collections::HashMap;
use std::fmt::Write;

use wharf_oci::{Digest, Registry, Repository, Tag};

use super::facts::{Fact, Learned};
use super::moment::Moment;
use super::sightings::Sightings;

/// Longer ones are none of ours: names end at 255 bytes.
const LONGEST_LINE: usize = 1024;

/// Bytes of a line with a digest, about.
const SHORTEST_SIGHTING: usize = 73;

/// Hosts of which facts are read or kept.
const HOSTS: usize = 1000;

/// What a file of memories says.
#[derive(Debug)]
pub(super) struct Memories {
    pub(super) sightings: Sightings,
    pub(super) facts: HashMap<Registry, Learned>,
}

/// What was learned and is not in the file yet, as text.
#[derive(Debug, Default)]
pub(super) struct Journal {
    text: String,
    heading: String,
}

/// What a line may be about.
enum Heading {
    Repository(Moment, Repository),
    Host(Moment, Registry),
}

impl Memories {
    /// Nothing yet; never more than `most` sightings.
    pub(super) fn new(most: usize) -> Memories {
        Memories {
            sightings: Sightings::new(most),
            facts: HashMap::new(),
        }
    }

    /// Notes what the lines of `bytes` say.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        self.sightings.expect(bytes.len() / SHORTEST_SIGHTING);
        let mut heading = None;
        for line in bytes.split(|byte| *byte == b'\n') {
            let Some((sign, rest)) = parts(line) else {
                continue;
            };
            // What stands below a heading that makes no sense makes none either.
            match (sign, &heading) {
                (b'@' | b'%', _) => heading = Heading::parse(sign, rest),
                (_, Some(Heading::Repository(seen, repository))) => {
                    self.sighting(sign, rest, repository, *seen);
                }
                (b'!', Some(Heading::Host(learned, host))) => {
                    if let Some(fact) = Fact::parse(rest) {
                        self.learn(host, fact, *learned);
                    }
                }
                _ => {}
            }
        }
    }

    /// Notes a fact, unless there are too many hosts.
    pub(super) fn learn(&mut self, host: &Registry, fact: Fact, learned: Moment) {
        if self.facts.len() < HOSTS || self.facts.contains_key(host) {
            let facts = self.facts.entry(host.clone()).or_default();
            facts.learn(fact, learned);
        }
    }

    fn sighting(&mut self, sign: u8, rest: &str, repository: &Repository, seen: Moment) {
        let sightings = &mut self.sightings;
        match sign {
            b'+' => {
                if let Ok(digest) = rest.parse() {
                    sightings.saw(repository, &digest, seen);
                }
            }
            b'-' => {
                if let Ok(digest) = rest.parse() {
                    sightings.forget(repository, &digest);
                }
            }
            b'=' => {
                let Some((tag, digest)) = rest.split_once(' ') else {
                    return;
                };
                if let (Ok(tag), Ok(digest)) = (tag.parse(), digest.parse()) {
                    sightings.saw_tag(repository, &tag, &digest, seen);
                }
            }
            b'/' => {
                if let Ok(tag) = rest.parse() {
                    sightings.forget_tag(repository, &tag);
                }
            }
            _ => {}
        }
    }

    /// All of it that is not too old at `now`: the newest, in at most about `most` bytes.
    pub(super) fn write(&self, now: Moment, most: usize) -> String {
        let mut journal = Journal::default();
        for (host, learned) in self.facts.iter().take(HOSTS) {
            for (fact, learned) in learned.iter(now) {
                journal.learned(host, fact, learned);
            }
        }
        let wanted = |seen: Moment| seen.is_within(super::sightings::AGE, now);
        for sighting in self.sightings.newest_first(wanted) {
            if journal.text.len() > most {
                break;
            }
            let (repository, digest, seen) = (sighting.repository, sighting.digest, sighting.seen);
            match sighting.tag {
                Some(tag) => journal.saw_tag(repository, tag, digest, seen),
                None => journal.saw(repository, digest, seen),
            }
        }
        journal.take()
    }
}

impl Journal {
    pub(super) fn saw(&mut self, repository: &Repository, digest: &Digest, seen: Moment) {
        self.note('@', seen, repository, format_args!("+{digest}"));
    }

    pub(super) fn forget(&mut self, repository: &Repository, digest: &Digest, now: Moment) {
        self.note('@', now, repository, format_args!("-{digest}"));
    }

    pub(super) fn saw_tag(
        &mut self,
        repository: &Repository,
        tag: &Tag,
        digest: &Digest,
        seen: Moment,
    ) {
        self.note('@', seen, repository, format_args!("={tag} {digest}"));
    }

    pub(super) fn forget_tag(&mut self, repository: &Repository, tag: &Tag, now: Moment) {
        self.note('@', now, repository, format_args!("/{tag}"));
    }

    pub(super) fn learned(&mut self, host: &Registry, fact: Fact, learned: Moment) {
        self.note('%', learned, host, format_args!("!{fact}"));
    }

    /// The text so far.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The text so far, which is no longer in here.
    pub(super) fn take(&mut self) -> String {
        self.heading.clear();
        std::mem::take(&mut self.text)
    }

    /// Puts text that was taken back before what came meanwhile.
    pub(super) fn put_back(&mut self, mut text: String) {
        text.push_str(&self.text);
        self.text = text;
    }

    fn note(
        &mut self,
        sign: char,
        at: Moment,
        place: &impl std::fmt::Display,
        what: std::fmt::Arguments<'_>,
    ) {
        let heading = format!("{sign}{} {place}\n", at.0);
        if self.heading != heading {
            self.text.push_str(&heading);
            self.heading = heading;
        }
        // A string takes everything.
        let _ = writeln!(self.text, "{what}");
    }
}

impl Heading {
    fn parse(sign: u8, text: &str) -> Option<Heading> {
        let (moment, place) = text.split_once(' ')?;
        let moment = Moment(moment.parse().ok()?);
        if sign == b'%' {
            return Some(Heading::Host(moment, place.parse().ok()?));
        }
        let (registry, name) = place.split_once('/')?;
        let repository = Repository::new(registry.parse().ok()?, name.parse().ok()?).ok()?;
        Some(Heading::Repository(moment, repository))
    }
}

/// A line's sign and what follows it.
fn parts(line: &[u8]) -> Option<(u8, &str)> {
    let (sign, rest) = line.split_first().filter(|_| line.len() <= LONGEST_LINE)?;
    Some((*sign, std::str::from_utf8(rest).ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Moment = Moment(1_800_000_000);

    fn repository(name: &str) -> Repository {
        name.parse().unwrap()
    }

    fn read(text: &[u8]) -> Memories {
        let mut memories = Memories::new(50);
        memories.read(text);
        memories
    }

    #[test]
    fn what_is_written_is_read_back() {
        let (app, other) = (
            repository("r.io:5000/a/pp"),
            repository("docker.io/library/x"),
        );
        let (one, two) = (
            Digest::of(b"1"),
            Digest::of_with(wharf_oci::Algorithm::Sha512, b"2"),
        );
        let tag: Tag = "v1".parse().unwrap();
        let mut journal = Journal::default();
        journal.saw(&app, &one, NOW);
        journal.saw(&other, &two, NOW);
        journal.saw_tag(&other, &tag, &two, NOW);
        journal.learned(app.registry(), Fact::Referrers(false), NOW);
        journal.saw(&other, &one, NOW);
        journal.forget(&other, &one, NOW);
        let memories = read(journal.text().as_bytes());
        for memories in [&memories, &read(memories.write(NOW, usize::MAX).as_bytes())] {
            let sightings = &memories.sightings;
            assert_eq!(sightings.len(), 3);
            assert_eq!(sightings.recalls(&app, &one, NOW), Some(NOW));
            assert_eq!(sightings.recalls(&other, &two, NOW), Some(NOW));
            assert_eq!(sightings.recalls_tag(&other, &tag, NOW), Some((&two, NOW)));
            let facts = memories.facts[app.registry()].facts(NOW);
            assert_eq!(facts.referrers, Some(false));
        }
    }

    #[test]
    fn lines_below_a_broken_heading_count_for_no_repository() {
        let digest = Digest::of(b"1");
        let text = format!("@1800000000 r.io/app\n@18000 r.i\u{fffd}o/other\n+{digest}\n");
        assert_eq!(read(text.as_bytes()).sightings.len(), 0);
        let long = format!("@1800000000 r.io/app\n+{digest}{}\n", " ".repeat(1 << 20));
        assert_eq!(read(long.as_bytes()).sightings.len(), 0);
        assert_eq!(read(format!("+{digest}\n").as_bytes()).sightings.len(), 0);
    }

    #[test]
    fn writing_ends_at_the_limit_with_the_newest() {
        let mut memories = Memories::new(1000);
        let app = repository("r.io/app");
        for number in 0..1000_u64 {
            let digest = Digest::of(&number.to_be_bytes());
            memories
                .sightings
                .saw(&app, &digest, Moment(NOW.0 - number));
        }
        let text = memories.write(NOW, 10_000);
        assert!(text.len() < 10_200, "{}", text.len());
        assert!(text.contains(&Digest::of(&0_u64.to_be_bytes()).to_string()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>) {
            prop_assert!(read(&bytes).sightings.len() <= 50);
        }

        #[test]
        fn any_lines_are_read_and_bounded(
            lines in prop::collection::vec(
                "[@%][0-9]{1,20} r.io(/[a-z]{1,2})?|[-+]sha256:[0-9a-f]{64}|[=/!+-][a-z0-9 :]{0,9}",
                0..300,
            ),
        ) {
            let memories = read(lines.join("\n").as_bytes());
            prop_assert!(memories.sightings.len() <= 50);
            let again = read(memories.write(NOW, usize::MAX).as_bytes());
            prop_assert!(again.sightings.len() <= memories.sightings.len());
        }

        #[test]
        fn a_text_that_was_cut_off_keeps_the_lines_before(cut in 0_usize..4000) {
            let (app, mut journal) = (repository("r.io/app"), Journal::default());
            let digests: Vec<_> = (0..50_u8).map(|n| Digest::of(&[n])).collect();
            for digest in &digests {
                journal.saw(&app, digest, NOW);
            }
            let bytes = &journal.text().as_bytes()[..cut.min(journal.text().len())];
            let whole = bytes.iter().filter(|byte| **byte == b'\n').count().saturating_sub(1);
            let memories = read(bytes);
            let found = memories.sightings.len();
            prop_assert!(found == whole || found == whole + 1, "{found} of {whole}");
        }
    }
}
