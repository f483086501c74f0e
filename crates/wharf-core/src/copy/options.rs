//! What a copy may do, and how hard it tries.

use std::collections::HashSet;
use std::sync::Arc;

use wharf_oci::Digest;

use super::event::{NoObserver, Observer};
use super::lanes::Lanes;
use super::rate::RateLimit;
use super::retry::RetryPolicy;

/// The options of a copy.
#[derive(Clone, Debug)]
pub struct CopyOptions {
    /// How many blobs are moved at once, 32 by default.
    pub jobs: usize,
    /// How many blobs of a MiB and more are moved at once, 4 by default, and no more than `jobs`. Each
    /// costs a few mebibytes of memory. A smaller blob takes less of the room of a large one: 128 KiB
    /// an eighth, with the default numbers.
    pub large: usize,
    /// How many existence checks run at once, 16 by default.
    pub checks: usize,
    /// Whether non-distributable ("foreign") layers are moved too.
    pub nondistributable: Nondistributable,
    /// Whether to believe what the store says that it has, or to ask for everything.
    pub existing: Existing,
    /// Whether tags that the store has are moved.
    pub clobber: Clobber,
    /// Manifests that are not copied though an index below the roots links to them. By default there
    /// are none. A registry may refuse an index without all its children.
    pub left_out: LeftOut,
    /// The most bytes per second that are moved, of all blobs together; by default there is no bound.
    pub rate: Option<RateLimit>,
    /// Lets several copies share one bound for the blobs moved at once, instead of `jobs` each; by
    /// default none does.
    pub shared_jobs: Option<SharedJobs>,
    /// When and how often work is tried again.
    pub retry: RetryPolicy,
    /// Receives the events; by default they are ignored.
    pub observer: Arc<dyn Observer>,
}

impl Default for CopyOptions {
    fn default() -> Self {
        CopyOptions {
            jobs: 32,
            large: 4,
            checks: 16,
            nondistributable: Nondistributable::Skip,
            existing: Existing::Trust,
            clobber: Clobber::Move,
            left_out: LeftOut::default(),
            rate: None,
            shared_jobs: None,
            retry: RetryPolicy::default(),
            observer: Arc::new(NoObserver),
        }
    }
}

/// The upper bound of `jobs` and `checks`: more is not worth its memory.
const MOST_AT_ONCE: usize = 1024;

impl CopyOptions {
    /// `jobs`, bounded.
    pub(crate) fn jobs(&self) -> usize {
        self.jobs.clamp(1, MOST_AT_ONCE)
    }

    /// `large`, bounded.
    pub(crate) fn large(&self) -> usize {
        self.large.clamp(1, self.jobs())
    }

    /// The bound for the blobs moved at once: that of all copies that share it, else an own one.
    pub(super) fn transfers(&self) -> Arc<Lanes> {
        match &self.shared_jobs {
            Some(SharedJobs(shared)) => Arc::clone(shared),
            None => Arc::new(Lanes::new(self.jobs(), self.large())),
        }
    }

    /// `checks`, bounded.
    pub(crate) fn checks(&self) -> usize {
        self.checks.clamp(1, MOST_AT_ONCE)
    }
}

/// What happens to tags that the store has already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clobber {
    /// They move to the new manifest.
    #[default]
    Move,
    /// The copy fails with [`ErrorKind::Exists`](crate::ErrorKind::Exists) before it moves anything,
    /// also where the manifest is the same. Another client may still set the tag meanwhile.
    Refuse,
}

/// A set of manifests that a copy leaves out. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut(Arc<HashSet<Digest>>);

impl LeftOut {
    /// Whether the manifest of this digest is left out.
    pub fn contains(&self, manifest: &Digest) -> bool {
        self.0.contains(manifest)
    }

    /// Whether everything is copied.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Digest> for LeftOut {
    fn from_iter<I: IntoIterator<Item = Digest>>(manifests: I) -> Self {
        LeftOut(Arc::new(manifests.into_iter().collect()))
    }
}

/// A bound for the blobs that several copies move at once. Clones are the same bound.
#[derive(Clone, Debug)]
pub struct SharedJobs(Arc<Lanes>);

impl SharedJobs {
    /// The bounds `jobs` and `large` of these options.
    pub fn of(options: &CopyOptions) -> Self {
        SharedJobs(Arc::new(Lanes::new(options.jobs(), options.large())))
    }
}

/// What happens to layers with a non-distributable ("foreign") media type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nondistributable {
    /// They are not moved. A client that pulls the image fetches them from their `urls`.
    #[default]
    Skip,
    /// They are moved like any other layer.
    Move,
}

/// What a copy believes of a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// A manifest that is there has all that it links to, because a store accepts no other, and
    /// what was mounted is there. If the store then refuses a manifest because content below it is
    /// unknown, the work below that manifest is planned once more, as with `Check`.
    #[default]
    Trust,
    /// Nothing: no memory, no mount and no manifest. Every blob is asked for, what is missing is
    /// sent, and its length is compared afterwards. This repairs a registry that lost content.
    Check,
}
