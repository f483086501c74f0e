//! The memory as clients use it: shared, with lookups by digest, tag and host.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, MutexGuard};

use wharf_core::state::Lines;
use wharf_core::sync::Lock;
use wharf_oci::{Descriptor, Digest, Registry, Repository, RepositoryName, Tag};

use super::book::{Book, Bounds};
use super::facts::{Fact, Facts};
use super::moment::Moment;

/// Manifests, tags and facts of hosts: some hundred bytes for most users. Every command reads it,
/// within two milliseconds: the limit of bytes is reached before that of sightings.
const NAMES: Bounds = Bounds {
    sightings: 6_000,
    bytes: 192 << 10,
};

/// Blobs: read only when one will be uploaded.
const BLOBS: Bounds = Bounds {
    sightings: 100_000,
    bytes: 12 << 20,
};

/// Where blobs were seen in registries, and what was learned of the registries. Its hints save
/// requests and lead to mounts instead of uploads. Cheap to clone; clones share it.
///
/// Sightings are used for 30 days and facts for 7; the number of both is bounded. Reading and
/// writing files is blocking, brief, and never an error: without them less is remembered.
#[derive(Clone, Debug)]
pub struct RegistryMemory {
    inner: Arc<Books>,
}

#[derive(Debug)]
struct Books {
    names: Lock<Book>,
    blobs: Lock<Book>,
}

impl Default for RegistryMemory {
    /// [`RegistryMemory::in_process`]
    fn default() -> Self {
        RegistryMemory::in_process()
    }
}

impl RegistryMemory {
    /// The memory in `directory`, which may be missing. Nothing is read before it is needed.
    pub fn open(directory: &Path) -> RegistryMemory {
        let file = |name, bounds: Bounds| Some(Lines::new(directory.join(name), bounds.bytes));
        RegistryMemory::new(file("names.jsonl", NAMES), file("blobs.jsonl", BLOBS))
    }

    /// A memory that ends with the process.
    pub fn in_process() -> RegistryMemory {
        RegistryMemory::new(None, None)
    }

    fn new(names: Option<Lines>, blobs: Option<Lines>) -> RegistryMemory {
        let inner = Books {
            names: Lock::new(Book::new(NAMES, names)),
            blobs: Lock::new(Book::new(BLOBS, blobs)),
        };
        RegistryMemory {
            inner: Arc::new(inner),
        }
    }

    /// Records that the content is in the repository now.
    pub fn saw(&self, repository: &Repository, descriptor: &Descriptor) {
        let mut book = self.book(descriptor);
        book.saw(repository, &descriptor.digest, Moment::now());
    }

    /// Records that the tag names this manifest now.
    pub fn saw_tag(&self, repository: &Repository, tag: &Tag, digest: &Digest) {
        let (mut names, now) = (self.names(), Moment::now());
        names.saw(repository, digest, now);
        names.saw_tag(repository, tag, digest, now);
    }

    /// Whether the content was seen in the repository.
    pub fn recalls(&self, repository: &Repository, descriptor: &Descriptor) -> bool {
        let mut book = self.book(descriptor);
        book.load();
        let recalled = book
            .sightings()
            .recalls(repository, &descriptor.digest, Moment::now());
        recalled.is_some()
    }

    /// The digest that the tag was last seen to name.
    pub fn recalls_tag(&self, repository: &Repository, tag: &Tag) -> Option<Digest> {
        let names = self.names();
        let recalled = names
            .sightings()
            .recalls_tag(repository, tag, Moment::now());
        recalled.map(|(digest, _)| digest.clone())
    }

    /// The repositories in which a manifest was seen, each with the tags that were, the newest first.
    pub fn known(&self) -> BTreeMap<Repository, Vec<Tag>> {
        self.names().sightings().known(Moment::now())
    }

    /// The other repository of the same registry in which the blob was seen last.
    pub fn elsewhere(&self, repository: &Repository, blob: &Digest) -> Option<RepositoryName> {
        let mut blobs = self.inner.blobs.lock();
        blobs.load();
        let found = blobs.sightings().elsewhere(repository, blob, Moment::now());
        found.cloned()
    }

    /// Forgets that a blob was seen in a repository: the hint was wrong.
    pub fn forget_blob(&self, repository: &Repository, blob: &Digest) {
        self.inner.blobs.lock().forget(repository, blob);
    }

    /// Forgets that the content was seen in the repository, if that is in memory.
    pub(crate) fn missed(&self, repository: &Repository, descriptor: &Descriptor) {
        let (mut book, digest) = (self.book(descriptor), &descriptor.digest);
        let known = book.sightings().recalls(repository, digest, Moment::now());
        if known.is_some() {
            book.forget(repository, digest);
        }
    }

    /// Forgets that the content was seen in the repository, also in the file, and where a blob would
    /// be mounted from: the registry denied a belief in it.
    pub(crate) fn refuted(&self, repository: &Repository, descriptor: &Descriptor) {
        let (mut book, digest) = (self.book(descriptor), &descriptor.digest);
        let now = Moment::now();
        let source = book.sightings().elsewhere(repository, digest, now).cloned();
        book.forget(repository, digest);
        let registry = repository.registry().clone();
        if let Some(Ok(source)) = source.map(|name| Repository::new(registry, name)) {
            book.forget(&source, digest);
        }
    }

    /// Forgets what the tag named.
    pub fn forget_tag(&self, repository: &Repository, tag: &Tag) {
        let (mut names, now) = (self.names(), Moment::now());
        if names
            .sightings()
            .recalls_tag(repository, tag, now)
            .is_some()
        {
            names.forget_tag(repository, tag, now);
        }
    }

    /// Records a fact that a registry's answer showed.
    pub fn learn(&self, registry: &Registry, fact: Fact) {
        self.names().learn(registry, fact, Moment::now());
    }

    /// The remembered facts of a registry.
    pub fn facts(&self, registry: &Registry) -> Facts {
        let names = self.names();
        let facts = names.facts(registry);
        facts.map_or_else(Facts::default, |facts| facts.facts(Moment::now()))
    }

    /// Writes what was learned since the last time, if anything, and keeps what other processes
    /// write. Blocking, for at most a quarter of a second per file. What could not be written is
    /// tried again the next time.
    pub fn save(&self) {
        for book in [&self.inner.names, &self.inner.blobs] {
            let Some(unwritten) = book.lock().unwritten() else {
                continue;
            };
            if let Err(error) = unwritten.write() {
                tracing::debug!(%error, "memory not written");
                book.lock().put_back(unwritten);
            }
        }
    }

    /// The book for content of this kind. The file of blobs may not be read yet.
    fn book(&self, descriptor: &Descriptor) -> MutexGuard<'_, Book> {
        match descriptor.media_type.is_manifest() {
            true => self.names(),
            false => self.inner.blobs.lock(),
        }
    }

    /// Manifests, tags and facts, including those of the file.
    fn names(&self) -> MutexGuard<'_, Book> {
        let mut names = self.inner.names.lock();
        names.load();
        names
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use wharf_oci::MediaType;

    use super::*;

    fn repository(name: &str) -> Repository {
        name.parse().unwrap()
    }

    fn blob(number: usize) -> Descriptor {
        let digest = Digest::of(number.to_string().as_bytes());
        Descriptor::new(MediaType::OCI_LAYER_GZIP, digest, 1)
    }

    #[test]
    fn processes_that_save_at_once_lose_nothing() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("cache/registries");
        std::thread::scope(|scope| {
            for process in 0..8 {
                let directory = &directory;
                scope.spawn(move || {
                    let memory = RegistryMemory::open(directory);
                    for number in 0..10 {
                        memory.saw(&repository("r.io/app"), &blob(process * 10 + number));
                        memory.save();
                    }
                    // A writer that waited too long tries again.
                    while !memory.inner.blobs.lock().is_written() {
                        memory.save();
                    }
                });
            }
        });
        let memory = RegistryMemory::open(&directory);
        for number in 0..80 {
            assert!(
                memory.recalls(&repository("r.io/app"), &blob(number)),
                "{number}"
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn only_the_user_may_read_the_files() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("registries");
        let memory = RegistryMemory::open(&directory);
        memory.saw(&repository("r.io/app"), &blob(1));
        memory.save();
        for name in ["blobs.jsonl", "blobs.jsonl.lock"] {
            let mode = fs::metadata(directory.join(name))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn what_was_forgotten_stays_forgotten() {
        let place = tempfile::tempdir().unwrap();
        let (app, other) = (repository("r.io/app"), repository("r.io/other"));
        let memory = RegistryMemory::open(place.path());
        memory.saw(&app, &blob(1));
        memory.save();
        let memory = RegistryMemory::open(place.path());
        memory.forget_blob(&app, &blob(1).digest);
        assert_eq!(memory.elsewhere(&other, &blob(1).digest), None);
        memory.save();
        let memory = RegistryMemory::open(place.path());
        assert_eq!(memory.elsewhere(&other, &blob(1).digest), None);
    }

    #[test]
    fn files_that_are_not_ours_are_ignored_and_replaced() {
        let place = tempfile::tempdir().unwrap();
        let app = repository("r.io/app");
        for content in [b"".to_vec(), vec![b'x'; 30 << 20]] {
            fs::write(place.path().join("blobs.jsonl"), content).unwrap();
            let memory = RegistryMemory::open(place.path());
            assert!(!memory.recalls(&app, &blob(1)));
            memory.saw(&app, &blob(1));
            memory.save();
            assert!(RegistryMemory::open(place.path()).recalls(&app, &blob(1)));
            assert!(
                fs::metadata(place.path().join("blobs.jsonl"))
                    .unwrap()
                    .len()
                    < 1000
            );
        }
    }

    #[test]
    fn a_place_that_cannot_be_used_is_done_without() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("file");
        fs::write(&file, b"").unwrap();
        fs::create_dir_all(place.path().join("cache/blobs.jsonl")).unwrap();
        for directory in [file, place.path().join("cache")] {
            let memory = RegistryMemory::open(&directory);
            memory.saw(&repository("r.io/app"), &blob(1));
            memory.save();
            assert!(memory.recalls(&repository("r.io/app"), &blob(1)));
        }
    }

    #[test]
    fn a_lock_that_is_never_given_up_is_not_waited_for_long() {
        let place = tempfile::tempdir().unwrap();
        let lock = fs::File::create(place.path().join("blobs.jsonl.lock")).unwrap();
        lock.lock().unwrap();
        let memory = RegistryMemory::open(place.path());
        memory.saw(&repository("r.io/app"), &blob(1));
        memory.save();
        assert!(!place.path().join("blobs.jsonl").exists());
        drop(lock);
        memory.save();
        assert!(RegistryMemory::open(place.path()).recalls(&repository("r.io/app"), &blob(1)));
    }

    #[test]
    fn a_file_that_grows_is_shortened() {
        let place = tempfile::tempdir().unwrap();
        let app = repository("r.io/app");
        let memory = RegistryMemory::open(place.path());
        memory.saw(&app, &blob(1));
        memory.save();
        let line = fs::read_to_string(place.path().join("blobs.jsonl")).unwrap();
        let many = line.repeat(usize::try_from(BLOBS.bytes).unwrap() / line.len());
        fs::write(place.path().join("blobs.jsonl"), many).unwrap();
        memory.saw(&app, &blob(2));
        memory.save();
        assert!(
            fs::metadata(place.path().join("blobs.jsonl"))
                .unwrap()
                .len()
                < 1000
        );
        let memory = RegistryMemory::open(place.path());
        assert!(memory.recalls(&app, &blob(1)) && memory.recalls(&app, &blob(2)));
    }
}
