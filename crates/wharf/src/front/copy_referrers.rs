//! Copies what refers to images: signatures, SBOMs and attestations.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::{StreamExt, future, stream};
use wharf_oci::{Descriptor, Digest, Payload, Role, Selector, Tag};

use super::{Options, Wharf};
use crate::copy::{NoObserver, Root, SharedJobs};
use crate::store::{Source, Store};
use crate::{Error, ErrorKind, Result, Side};

/// The most manifests to ask for referrers: more is a mistake or an attack.
const MOST: usize = 100_000;

/// The ends of the tags under which signing tools put what belongs to the manifest of a digest.
const SUFFIXES: [&str; 3] = ["sig", "att", "sbom"];

/// What was copied beside images.
#[derive(Clone, Debug, Default)]
pub struct CopiedReferrers {
    /// The manifests that were copied or were there, each once, in no order.
    pub copied: Vec<Descriptor>,
    /// Why some were not copied, or could not be looked for.
    pub failed: Vec<Error>,
}

impl Wharf {
    /// Copies the manifests that refer to `roots`, to any manifest below them, or to each other:
    /// those that the source lists as referrers, and those under the tags `sha256-….sig`,
    /// `sha256-….att` and `sha256-….sbom`, which keep these tags. Each is copied once, also where they
    /// refer to each other in a circle. The roots must have been copied before.
    ///
    /// Where the source lists no referrer of a manifest, a list under its fallback tag counts. The
    /// store lists what it gets, or gets a list under that tag. Tags that must not move
    /// ([`Clobber::Refuse`](crate::copy::Clobber::Refuse)) stay, without an error. The observer of the options gets no
    /// event.
    ///
    /// ```no_run
    /// use wharf::place::Access;
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let image = wharf.open(&"registry.example/app:1".parse()?).await?;
    /// let to = "other.example/app:1".parse()?;
    /// let store = wharf.destination(&to, &image, Access::Write).await?;
    /// let root = wharf.write(&image, &store).await?.descriptor;
    /// let (source, store) = (image.source.as_ref(), store.store.as_ref());
    /// let beside = wharf.copy_referrers(source, store, &[root]).await;
    /// println!("{} referrers, {} failed", beside.copied.len(), beside.failed.len());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn copy_referrers(
        &self,
        source: &dyn Source,
        store: &dyn Store,
        roots: &[Descriptor],
    ) -> CopiedReferrers {
        let wharf = self.beside();
        let mut walk = Walk {
            wharf: &wharf,
            source: source.raw_source().unwrap_or(source),
            store,
            seen: HashSet::new(),
            done: HashMap::new(),
            whole: HashSet::new(),
            copied: CopiedReferrers::default(),
        };
        walk.all(roots.to_vec()).await;
        walk.copied
    }

    /// A front door for several copies at once: they share the bound for what moves, and no observer
    /// could tell them apart.
    pub(super) fn beside(&self) -> Wharf {
        let mut options = Options::clone(self.options());
        options.copy.observer = Arc::new(NoObserver);
        let shared = SharedJobs::of(&options.copy);
        options.copy.shared_jobs.get_or_insert(shared);
        Wharf::with_options(self.client().clone(), options)
    }
}

/// A manifest that refers to another one, and the tags that it has for that.
type Found = (Descriptor, Vec<Tag>);

struct Walk<'a> {
    wharf: &'a Wharf,
    source: &'a dyn Source,
    store: &'a dyn Store,
    /// The manifests that are subjects already.
    seen: HashSet<Digest>,
    /// The referrers that were copied, or failed, with their tags.
    done: HashMap<Digest, HashSet<Tag>>,
    /// Those that were copied.
    whole: HashSet<Digest>,
    copied: CopiedReferrers,
}

impl Walk<'_> {
    /// Copies the referrers of `open`, and theirs, until there are no others.
    async fn all(&mut self, mut open: Vec<Descriptor>) {
        while !open.is_empty() {
            let subjects = self.with_children(open).await;
            let found = self.ask(subjects).await;
            open = self.copy(found).await;
        }
    }

    /// The manifests in `open` and below them that were not seen yet.
    async fn with_children(&mut self, mut open: Vec<Descriptor>) -> Vec<Descriptor> {
        let mut subjects = Vec::new();
        while let Some(next) = open.pop() {
            if !next.media_type.is_manifest() || !self.seen.insert(next.digest.clone()) {
                continue;
            }
            if self.seen.len() > MOST {
                let message = format!("more than {MOST} manifests to ask for referrers");
                self.failed(Error::new(ErrorKind::Invalid, message));
                return Vec::new();
            }
            if next.media_type.is_index() {
                let read = self.wharf.retry(|| self.source.manifest(&next)).await;
                match read {
                    Ok(index) => {
                        let links = index.links().into_iter();
                        let left_out = &self.wharf.options().copy.left_out;
                        let children = links.filter(|link| {
                            link.role == Role::Child && !left_out.contains(&link.descriptor.digest)
                        });
                        open.extend(children.map(|link| link.descriptor));
                    }
                    Err(error) => self.failed(error),
                }
            }
            subjects.push(next);
        }
        subjects
    }

    /// What refers to `subjects`, each manifest once.
    async fn ask(&mut self, subjects: Vec<Descriptor>) -> Vec<Found> {
        let asker = Asker {
            wharf: self.wharf,
            source: self.source,
        };
        let checks = self.wharf.options().copy.checks.clamp(1, 64);
        let asked = stream::iter(subjects).map(|subject| {
            let asker = &asker;
            async move { asker.referrers(&subject.digest).await }
        });
        // Boxed: the compiler cannot see yet that it is `Send` (rust-lang/rust#110338).
        let answers: Vec<_> = asked.buffer_unordered(checks).boxed().collect().await;
        let mut distinct: HashMap<Digest, Found> = HashMap::new();
        for answer in answers.into_iter().flatten() {
            match answer {
                Ok((descriptor, tags)) => {
                    let digest = descriptor.digest.clone();
                    let found = distinct.entry(digest);
                    let (_, all) = found.or_insert_with(|| (descriptor, Vec::new()));
                    all.extend(tags);
                }
                Err(error) => self.failed(error),
            }
        }
        distinct.into_values().collect()
    }

    /// Copies what was not copied before, and returns it.
    async fn copy(&mut self, found: Vec<Found>) -> Vec<Descriptor> {
        let mut copies = Vec::new();
        for (descriptor, tags) in found {
            let first = !self.done.contains_key(&descriptor.digest);
            let done = self.done.entry(descriptor.digest.clone()).or_default();
            let tags: Vec<Tag> = tags
                .into_iter()
                .filter(|tag| done.insert(tag.clone()))
                .collect();
            // What is below a root has been copied with it.
            let is_below = self.seen.contains(&descriptor.digest);
            if !tags.is_empty() || (first && !is_below) {
                copies.push((descriptor, tags));
            }
        }
        let (wharf, source, store) = (self.wharf, self.source, self.store);
        let copy = &wharf.options().copy;
        let jobs = copy.large.min(copy.jobs).clamp(1, 64);
        let copying = stream::iter(copies).map(|(descriptor, tags)| async move {
            let content = descriptor.clone().into();
            let copied = wharf.copy_root(source, store, Root { content, tags }).await;
            copied.map(|_| descriptor).map_err(named)
        });
        let outcomes: Vec<_> = copying.buffer_unordered(jobs).boxed().collect().await;
        let mut next = Vec::new();
        for outcome in outcomes {
            match outcome {
                Ok(descriptor) => {
                    if self.whole.insert(descriptor.digest.clone()) {
                        self.copied.copied.push(descriptor.clone());
                    }
                    next.push(descriptor);
                }
                // A tag that must not move stays as it is.
                Err(error) if error.kind() == ErrorKind::Exists => {}
                Err(error) => self.failed(error),
            }
        }
        next
    }

    fn failed(&mut self, error: Error) {
        self.copied.failed.push(error);
    }
}

/// Asks the source.
struct Asker<'a> {
    wharf: &'a Wharf,
    source: &'a dyn Source,
}

impl Asker<'_> {
    /// What refers to the manifest of this digest, and why something could not be asked.
    async fn referrers(&self, subject: &Digest) -> Vec<Result<Found>> {
        let tagged = SUFFIXES.map(|suffix| self.tagged(subject, suffix));
        let (listed, tagged) = future::join(self.listed(subject), future::join_all(tagged)).await;
        let mut answers = Vec::new();
        match listed {
            Ok(listed) => answers.extend(listed.into_iter().map(|one| Ok((one, Vec::new())))),
            Err(error) => answers.push(Err(error.side(Side::Source))),
        }
        answers.extend(tagged.into_iter().filter_map(Result::transpose));
        answers
    }

    /// The referrers that the source lists, itself or under the fallback tag.
    async fn listed(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        let listed = self.wharf.retry(|| self.source.referrers(subject)).await;
        match listed {
            Ok(listed) if listed.is_empty() => self.under_tag(subject).await,
            // There is no list anywhere.
            Err(error) if nothing(&error) || error.kind() == ErrorKind::Unsupported => {
                Ok(Vec::new())
            }
            listed => listed,
        }
    }

    /// A registry that lists referrers may not list those that were put before it did.
    async fn under_tag(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        let Some((list, _)) = self.resolve(&tag_of(subject, None)).await? else {
            return Ok(Vec::new());
        };
        if !list.media_type.is_index() {
            return Ok(Vec::new());
        }
        let list = self.wharf.retry(|| self.source.manifest(&list)).await?;
        match list.payload() {
            Payload::Index(index) => Ok(index.manifests.clone()),
            _ => Ok(Vec::new()),
        }
    }

    /// The manifest under a tag of this kind.
    async fn tagged(&self, subject: &Digest, suffix: &str) -> Result<Option<Found>> {
        self.resolve(&tag_of(subject, Some(suffix))).await
    }

    async fn resolve(&self, tag: &str) -> Result<Option<Found>> {
        // The tag of a long digest is no tag.
        let Ok(tag) = tag.parse::<Tag>() else {
            return Ok(None);
        };
        let at = Selector::Tag(tag.clone());
        // An answer that there is nothing is no error, and needs no words of the registry.
        let resolve = async || match self.source.resolve(&at).await {
            Ok(descriptor) => Ok(Some((descriptor, vec![tag.clone()]))),
            Err(error) if nothing(&error) => Ok(None),
            Err(error) => Err(error),
        };
        let resolved = self.wharf.retry(resolve).await;
        resolved.map_err(|error| error.side(Side::Source))
    }
}

/// Whether an error says that there is nothing; some registries say so with 403.
fn nothing(error: &Error) -> bool {
    let kind = error.kind();
    matches!(kind, ErrorKind::NotFound | ErrorKind::Rejected) || error.status() == Some(403)
}

/// The tag of what belongs to the manifest of this digest.
fn tag_of(subject: &Digest, suffix: Option<&str>) -> String {
    let list = format!("{}-{}", subject.algorithm(), subject.hex());
    match suffix {
        Some(suffix) => format!("{list}.{suffix}"),
        None => list,
    }
}

fn named(error: Error) -> Error {
    error.target("referrer")
}
