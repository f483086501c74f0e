//! Which digest was seen in which repository, and what tags named. Pure, and bounded.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use wharf_oci::{Digest, Repository, RepositoryName, Tag};

use super::moment::Moment;

/// How long a sighting is worth a request.
pub(super) const AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Repositories remembered for one digest; a popular base layer is in thousands.
const PLACES: usize = 16;

/// What was seen, the newest of it where it is too much.
#[derive(Debug)]
pub(super) struct Sightings {
    most: usize,
    count: usize,
    /// The repository that was noted last: many sightings of one come together.
    latest: usize,
    repositories: Vec<Repository>,
    numbers: HashMap<Repository, usize>,
    places: HashMap<Digest, Vec<Place>>,
    tags: HashMap<(usize, Tag), Named>,
}

/// A digest was seen here.
#[derive(Clone, Copy, Debug)]
struct Place {
    repository: usize,
    seen: Moment,
}

#[derive(Clone, Debug)]
struct Named {
    digest: Digest,
    seen: Moment,
}

/// One thing that was seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sighting<'a> {
    pub(super) repository: &'a Repository,
    /// What named the digest; none: it was seen by itself.
    pub(super) tag: Option<&'a Tag>,
    pub(super) digest: &'a Digest,
    pub(super) seen: Moment,
}

impl Sightings {
    /// Nothing yet; never more than `most`.
    pub(super) fn new(most: usize) -> Sightings {
        Sightings {
            most,
            count: 0,
            latest: 0,
            repositories: Vec::new(),
            numbers: HashMap::new(),
            places: HashMap::new(),
            tags: HashMap::new(),
        }
    }

    /// Makes room for so many more at once, which is faster.
    pub(super) fn expect(&mut self, more: usize) {
        self.places.reserve(more.min(self.most));
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.count
    }

    fn number(&mut self, repository: &Repository) -> usize {
        if self.repositories.get(self.latest) == Some(repository) {
            return self.latest;
        }
        if let Some(number) = self.numbers.get(repository) {
            self.latest = *number;
            return *number;
        }
        let number = self.repositories.len();
        self.repositories.push(repository.clone());
        self.numbers.insert(repository.clone(), number);
        number
    }

    /// Notes that `digest` was there.
    pub(super) fn saw(&mut self, repository: &Repository, digest: &Digest, seen: Moment) {
        let repository = self.number(repository);
        let places = self.places.entry(digest.clone()).or_default();
        if let Some(place) = places
            .iter_mut()
            .find(|place| place.repository == repository)
        {
            place.seen = place.seen.max(seen);
            return;
        }
        if places.len() >= PLACES
            && let Some((oldest, _)) = places.iter().enumerate().min_by_key(|(_, at)| at.seen)
        {
            places.swap_remove(oldest);
            self.count -= 1;
        }
        places.push(Place { repository, seen });
        self.count += 1;
        self.bound();
    }

    /// Notes that `tag` named `digest` there.
    pub(super) fn saw_tag(
        &mut self,
        repository: &Repository,
        tag: &Tag,
        digest: &Digest,
        seen: Moment,
    ) {
        let repository = self.number(repository);
        let named = Named {
            digest: digest.clone(),
            seen,
        };
        match self.tags.get_mut(&(repository, tag.clone())) {
            Some(known) if known.seen > seen => {}
            Some(known) => *known = named,
            None => {
                self.tags.insert((repository, tag.clone()), named);
                self.count += 1;
                self.bound();
            }
        }
    }

    /// Takes back what was seen of `digest` there, up to now.
    pub(super) fn forget(&mut self, repository: &Repository, digest: &Digest) {
        let (Some(number), Some(places)) = (
            self.numbers.get(repository).copied(),
            self.places.get_mut(digest),
        ) else {
            return;
        };
        let before = places.len();
        places.retain(|place| place.repository != number);
        self.count -= before - places.len();
        if places.is_empty() {
            self.places.remove(digest);
        }
    }

    /// Takes back what `tag` named.
    pub(super) fn forget_tag(&mut self, repository: &Repository, tag: &Tag) {
        if let Some(number) = self.numbers.get(repository)
            && self.tags.remove(&(*number, tag.clone())).is_some()
        {
            self.count -= 1;
        }
    }

    /// When `digest` was last seen there, not too long before `now`.
    pub(super) fn recalls(
        &self,
        repository: &Repository,
        digest: &Digest,
        now: Moment,
    ) -> Option<Moment> {
        let number = *self.numbers.get(repository)?;
        let places = self.places.get(digest)?;
        let place = places.iter().find(|place| place.repository == number)?;
        place.seen.is_within(AGE, now).then_some(place.seen)
    }

    /// What `tag` last named there, and when.
    pub(super) fn recalls_tag(
        &self,
        repository: &Repository,
        tag: &Tag,
        now: Moment,
    ) -> Option<(&Digest, Moment)> {
        let number = *self.numbers.get(repository)?;
        let named = self.tags.get(&(number, tag.clone()))?;
        let fresh = named.seen.is_within(AGE, now);
        fresh.then_some((&named.digest, named.seen))
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
        self.newest(digest, now, near).map(Repository::name)
    }

    fn newest(
        &self,
        digest: &Digest,
        now: Moment,
        wanted: impl Fn(&Repository) -> bool,
    ) -> Option<&Repository> {
        let places = self.places.get(digest)?.iter();
        places
            .filter(|place| place.seen.is_within(AGE, now))
            .filter_map(|place| Some((place.seen, self.repositories.get(place.repository)?)))
            .filter(|(_, repository)| wanted(repository))
            .max_by_key(|(seen, _)| *seen)
            .map(|(_, repository)| repository)
    }

    /// All that was seen when it is `wanted`, the newest first, one repository's of a moment
    /// together.
    pub(super) fn newest_first(&self, wanted: impl Fn(Moment) -> bool) -> Vec<Sighting<'_>> {
        let digests = self.places.iter().flat_map(|(digest, places)| {
            places
                .iter()
                .map(move |place| (place.repository, None, digest, place.seen))
        });
        let tags = self
            .tags
            .iter()
            .map(|((number, tag), named)| (*number, Some(tag), &named.digest, named.seen));
        let mut all: Vec<_> = digests
            .chain(tags)
            .filter(|(.., seen)| wanted(*seen))
            .collect();
        all.sort_unstable_by_key(|(number, _, _, seen)| (Reverse(*seen), *number));
        all.into_iter()
            .filter_map(|(number, tag, digest, seen)| {
                Some(Sighting {
                    repository: self.repositories.get(number)?,
                    tag,
                    digest,
                    seen,
                })
            })
            .collect()
    }

    /// Drops the oldest quarter, and the repositories nothing is left of, when there is too much.
    fn bound(&mut self) {
        if self.count <= self.most {
            return;
        }
        let (mut kept, spare) = (Sightings::new(self.most), self.count / 4);
        let all = self.newest_first(|_| true);
        for sighting in all.iter().take(self.count - spare) {
            kept.add(sighting);
        }
        *self = kept;
    }

    fn add(&mut self, sighting: &Sighting<'_>) {
        let Sighting {
            repository,
            tag,
            digest,
            seen,
        } = *sighting;
        match tag {
            Some(tag) => self.saw_tag(repository, tag, digest, seen),
            None => self.saw(repository, digest, seen),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment(1_800_000_000);

    fn repository(name: &str) -> Repository {
        name.parse().unwrap()
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
        assert_eq!((named(&sightings), sightings.len()), (None, 0));
    }

    #[test]
    fn the_oldest_go_first_when_there_are_too_many() {
        let mut sightings = Sightings::new(100);
        for number in 0..=100 {
            let app = repository(&format!("r.io/app{number}"));
            sightings.saw(&app, &digest(number), Moment(NOW.0 + number as u64));
        }
        assert_eq!(sightings.len(), 76);
        assert_eq!(sightings.repositories.len(), 76);
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
        assert_eq!(sightings.len(), PLACES);
        let elsewhere = sightings.elsewhere(&repository("r.io/x"), &digest(0), NOW);
        assert_eq!(elsewhere.map(RepositoryName::as_str), Some("app499"));
    }
}
