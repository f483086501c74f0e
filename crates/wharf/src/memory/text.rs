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
