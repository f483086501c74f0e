//! Which digest was seen in which repository, and what tags named. Pure, and bounded.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use wharf_oci::{Digest, Repository, RepositoryName, Tag};

use super::moment::Moment;

/// How long a sighting is used.
pub(super) const AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The most repositories remembered for one digest; a popular base layer is in thousands.
const PLACES: usize = 16;

/// The newest sightings.
#[derive(Debug)]
pub(super) struct Sightings {
    most: usize,
    count: usize,
    digests: HashMap<Digest, Vec<(Arc<Repository>, Moment)>>,
    tags: HashMap<Arc<Repository>, HashMap<Tag, (Digest, Moment)>>,
}

/// One sighting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sighting<'a> {
    pub(super) repository: &'a Arc<Repository>,
    /// The tag that named the digest; `None` if it was seen without a tag.
    pub(super) tag: Option<&'a Tag>,
    pub(super) digest: &'a Digest,
    pub(super) seen: Moment,
}

impl Sightings {
    /// No sightings yet; never more than `most`.
    pub(super) fn new(most: usize) -> Sightings {
        Sightings {
            most,
            count: 0,
            digests: HashMap::new(),
            tags: HashMap::new(),
        }
    }

    /// Records that `digest` was there.
    pub(super) fn saw(&mut self, repository: &Arc<Repository>, digest: &Digest, seen: Moment) {
        let places = self.digests.entry(digest.clone()).or_default();
        if let Some((_, at)) = places.iter_mut().find(|(known, _)| known == repository) {
            *at = seen.max(*at);
            return;
        }
        if places.len() >= PLACES
            && let Some((oldest, _)) = places.iter().enumerate().min_by_key(|(_, (_, at))| *at)
        {
            places.swap_remove(oldest);
            self.count -= 1;
        }
        places.push((Arc::clone(repository), seen));
        self.count += 1;
        self.bound();
    }

    /// Records that `tag` named `digest` there.
    pub(super) fn saw_tag(
        &mut self,
        repository: &Arc<Repository>,
        tag: &Tag,
        digest: &Digest,
        seen: Moment,
    ) {
        let tags = self.tags.entry(Arc::clone(repository)).or_default();
        if tags.get(tag).is_some_and(|(_, at)| *at > seen) {
            return;
        }
        if tags.insert(tag.clone(), (digest.clone(), seen)).is_none() {
            self.count += 1;
            self.bound();
        }
    }

    /// Forgets that `digest` was seen there.
    pub(super) fn forget(&mut self, repository: &Repository, digest: &Digest) {
        let Some(places) = self.digests.get_mut(digest) else {
            return;
        };
        let before = places.len();
        places.retain(|(known, _)| **known != *repository);
        self.count -= before - places.len();
        if places.is_empty() {
            self.digests.remove(digest);
        }
    }

    /// Forgets what `tag` named.
    pub(super) fn forget_tag(&mut self, repository: &Repository, tag: &Tag) {
        let tags = self.tags.get_mut(repository);
        if tags.is_some_and(|tags| tags.remove(tag).is_some()) {
            self.count -= 1;
        }
    }

    /// When `digest` was last seen there, if recently enough before `now`.
    pub(super) fn recalls(
        &self,
        repository: &Repository,
        digest: &Digest,
        now: Moment,
    ) -> Option<Moment> {
        let mut places = self.digests.get(digest)?.iter();
        let (_, seen) = places.find(|(known, _)| **known == *repository)?;
        seen.is_within(AGE, now).then_some(*seen)
    }

    /// What `tag` last named there, and when.
    pub(super) fn recalls_tag(
        &self,
        repository: &Repository,
        tag: &Tag,
        now: Moment,
    ) -> Option<(&Digest, Moment)> {
        let (digest, seen) = self.tags.get(repository)?.get(tag)?;
        seen.is_within(AGE, now).then_some((digest, *seen))
    }

    /// The other repository of the same registry in which `digest` was seen last.
    pub(super) fn elsewhere(
        &self,
        repository: &Repository,
        digest: &Digest,
        now: Moment,
    ) -> Option<&RepositoryName> {
        let near = |other: &Repository| {
            other.registry() == repository.registry() && other.name() != repository.name()
        };
        let places = self.digests.get(digest)?.iter();
        places
            .filter(|(other, seen)| near(other) && seen.is_within(AGE, now))
            .max_by_key(|(_, seen)| *seen)
            .map(|(other, _)| other.name())
    }

    /// The repositories that were seen recently enough before `now`, each with its tags.
    pub(super) fn known(&self, now: Moment) -> BTreeMap<Repository, Vec<Tag>> {
        let mut known: BTreeMap<Repository, Vec<Tag>> = BTreeMap::new();
        for sighting in self.newest_first() {
            if sighting.seen.is_within(AGE, now) {
                let tags = known.entry((**sighting.repository).clone()).or_default();
                tags.extend(sighting.tag.cloned());
            }
        }
        known
    }

    /// All sightings, the newest first; those of one moment and one repository together.
    pub(super) fn newest_first(&self) -> Vec<Sighting<'_>> {
        let digests = self.digests.iter().flat_map(|(digest, places)| {
            places.iter().map(move |(repository, seen)| Sighting {
                repository,
                tag: None,
                digest,
                seen: *seen,
            })
        });
        let tags = self.tags.iter().flat_map(|(repository, tags)| {
            tags.iter().map(move |(tag, (digest, seen))| Sighting {
                repository,
                tag: Some(tag),
                digest,
                seen: *seen,
            })
        });
        let mut all: Vec<_> = digests.chain(tags).collect();
        all.sort_unstable_by_key(|sighting| (Reverse(sighting.seen), sighting.repository));
        all
    }

    /// Drops the oldest quarter when there are too many.
    fn bound(&mut self) {
        if self.count <= self.most {
            return;
        }
        let mut kept = Sightings::new(self.most);
        for sighting in self.newest_first().iter().take(self.count - self.count / 4) {
            let (repository, seen) = (sighting.repository, sighting.seen);
            match sighting.tag {
                Some(tag) => kept.saw_tag(repository, tag, sighting.digest, seen),
                None => kept.saw(repository, sighting.digest, seen),
            }
        }
        *self = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment(1_800_000_000);

    fn repository(name: &str) -> Arc<Repository> {
        Arc::new(name.parse().unwrap())
    }

    fn digest(number: usize) -> Digest {
        Digest::of(number.to_string().as_bytes())
    }

    #[test]
    fn e4_a_blob_is_elsewhere_where_it_was_seen_last_in_the_same_registry() {
        let mut sightings = Sightings::new(100);
        let here = repository("r.io/here");
        sightings.saw(&here, &digest(1), NOW);
        sightings.saw(&repository("other.io/a"), &digest(1), NOW);
        assert_eq!(sightings.elsewhere(&here, &digest(1), NOW), None);
        sightings.saw(&repository("r.io/older"), &digest(1), Moment(NOW.0 - 2));
        sightings.saw(&repository("r.io/newer"), &digest(1), Moment(NOW.0 - 1));
        let elsewhere = sightings.elsewhere(&here, &digest(1), NOW).unwrap();
        assert_eq!(elsewhere.as_str(), "newer");
        sightings.forget(&repository("r.io/newer"), &digest(1));
        let elsewhere = sightings.elsewhere(&here, &digest(1), NOW).unwrap();
        assert_eq!(elsewhere.as_str(), "older");
        assert_eq!(sightings.elsewhere(&here, &digest(2), NOW), None);
    }

    #[test]
    fn sightings_are_worth_nothing_when_they_are_old_or_from_the_future() {
        let mut sightings = Sightings::new(100);
        let (app, tag) = (repository("r.io/app"), Tag::latest());
        sightings.saw(&app, &digest(1), NOW);
        sightings.saw_tag(&app, &tag, &digest(1), NOW);
        let late = Moment(NOW.0 + AGE.as_secs() + 1);
        for now in [late, Moment(0)] {
            assert_eq!(sightings.recalls(&app, &digest(1), now), None);
            assert_eq!(sightings.recalls_tag(&app, &tag, now), None);
            let other = repository("r.io/other");
            assert_eq!(sightings.elsewhere(&other, &digest(1), now), None);
        }
        assert_eq!(sightings.recalls(&app, &digest(1), NOW), Some(NOW));
    }

    #[test]
    fn what_was_seen_lately_is_known_with_its_tags() {
        let mut sightings = Sightings::new(100);
        let (app, old) = (repository("r.io/app"), repository("r.io/old"));
        sightings.saw(&app, &digest(1), NOW);
        sightings.saw_tag(&app, &Tag::latest(), &digest(1), NOW);
        sightings.saw(&repository("r.io/bare"), &digest(1), NOW);
        let before = Moment(NOW.0 - AGE.as_secs() - 1);
        sightings.saw_tag(&old, &Tag::latest(), &digest(1), before);
        let known = sightings.known(NOW);
        let names: Vec<String> = known.keys().map(ToString::to_string).collect();
        assert_eq!(names, ["r.io/app", "r.io/bare"]);
        assert_eq!(
            known.values().cloned().collect::<Vec<_>>(),
            [vec![Tag::latest()], vec![]]
        );
    }

    #[test]
    fn a_tag_names_what_it_named_last() {
        let mut sightings = Sightings::new(100);
        let (app, tag) = (repository("r.io/app"), Tag::latest());
        sightings.saw_tag(&app, &tag, &digest(1), NOW);
        sightings.saw_tag(&app, &tag, &digest(2), Moment(NOW.0 - 1));
        let named = |sightings: &Sightings| {
            sightings
                .recalls_tag(&app, &tag, NOW)
                .map(|(digest, _)| digest.clone())
        };
        assert_eq!(named(&sightings), Some(digest(1)));
        sightings.saw_tag(&app, &tag, &digest(2), NOW);
        assert_eq!(named(&sightings), Some(digest(2)));
        sightings.forget_tag(&app, &tag);
        assert_eq!((named(&sightings), sightings.count), (None, 0));
    }

    #[test]
    fn the_oldest_go_first_when_there_are_too_many() {
        let mut sightings = Sightings::new(100);
        for number in 0..=100 {
            let app = repository(&format!("r.io/app{number}"));
            sightings.saw(&app, &digest(number), Moment(NOW.0 + number as u64));
        }
        assert_eq!(sightings.count, 76);
        assert_eq!(sightings.digests.len(), 76);
        let now = Moment(NOW.0 + 100);
        let recalls = |number: usize| {
            let app = repository(&format!("r.io/app{number}"));
            sightings.recalls(&app, &digest(number), now).is_some()
        };
        assert!(!recalls(24) && recalls(25) && recalls(100));
    }

    #[test]
    fn a_digest_that_is_everywhere_is_remembered_in_a_few_places() {
        let mut sightings = Sightings::new(1000);
        for number in 0..500 {
            let app = repository(&format!("r.io/app{number}"));
            sightings.saw(&app, &digest(0), Moment(NOW.0 + number));
        }
        assert_eq!(sightings.count, PLACES);
        let elsewhere = sightings.elsewhere(&repository("r.io/x"), &digest(0), NOW);
        assert_eq!(elsewhere.map(RepositoryName::as_str), Some("app499"));
    }
}
