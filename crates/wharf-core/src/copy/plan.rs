//! What a copy will do, as plain data: made from manifests, carried out by the executor.
//!
//! Invariant: everything a planned manifest links to is planned too, or was in the store.

use wharf_oci::{Descriptor, Manifest, Tag};

use crate::draft::{Draft, IndexDraft, RecalledLayer};
use crate::layer::PendingLayer;

/// A root of a copy, and its tags at the destination.
#[derive(Clone, Debug)]
pub struct Root {
    /// The manifest, or the image that becomes one.
    pub content: RootContent,
    /// The tags it gets in the store; none: it is put by digest only.
    pub tags: Vec<Tag>,
}

/// The content of a root. Made [`From`] a descriptor, an entry of a layout, a draft or a new image.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a copy has few roots")]
pub enum RootContent {
    /// A manifest of the source.
    Manifest(Descriptor),
    /// An image with layers that are made while they are sent.
    Draft(Draft),
    /// An index with such images below it.
    Index(IndexDraft),
}

/// Everything a copy will do. [`Plan::build`] makes it and changes nothing; [`Plan::survey`] finds
/// out what it would do, and [`Plan::execute`] does it.
#[derive(Debug, Default)]
pub struct Plan {
    /// Distinct blobs to check and move, largest first: configs, layers and other links of
    /// manifests. It includes blobs that the store has.
    pub(super) blobs: Vec<Descriptor>,
    /// Distinct layers to make and move; their digests are learned on the way.
    pub(super) pending: Vec<PendingLayer>,
    /// Layers among `blobs` that are made instead if what is remembered of them is wrong.
    pub(super) recalled: Vec<RecalledLayer>,
    /// Manifests below the roots, in groups: each group links to earlier ones only.
    pub(super) children: Vec<Vec<Manifest>>,
    /// Root manifests to put or tag, in the order given; after `children`.
    pub(super) roots: Vec<PlannedManifest>,
    /// Roots that become manifests once their layers are made.
    pub(super) drafts: Vec<PlannedDraft>,
    /// Roots that become indexes then.
    pub(super) indexes: Vec<PlannedIndex>,
    /// Manifests the store has, with everything below them.
    pub(super) existing: Vec<Descriptor>,
    /// How many of `roots` the store has, with everything below them; only tags are missing.
    pub(super) retagged: usize,
    /// Non-distributable layers that are left out.
    pub(super) skipped: Vec<Descriptor>,
    /// The descriptor of each root, in the order given; `None` for drafts.
    pub(super) named: Vec<Option<Descriptor>>,
}

/// A root manifest and the tags it still needs.
#[derive(Debug)]
pub(super) struct PlannedManifest {
    /// The exact bytes to put.
    pub(super) manifest: Manifest,
    /// The draft it was made of, if that has layers that are only remembered. If one of them turns
    /// out different, so does the manifest.
    pub(super) draft: Option<Draft>,
    /// The tags to put it under; none: by digest.
    pub(super) tags: Vec<Tag>,
}

/// A draft and the tags its manifest will get.
#[derive(Debug)]
pub(super) struct PlannedDraft {
    /// The image to be.
    pub(super) draft: Draft,
    /// The tags to put it under; none: by digest.
    pub(super) tags: Vec<Tag>,
    /// Its place among the roots.
    pub(super) position: usize,
}

/// A draft of an index and the tags it will get.
#[derive(Debug)]
pub(super) struct PlannedIndex {
    /// The index to be.
    pub(super) draft: IndexDraft,
    /// The tags to put it under; none: by digest.
    pub(super) tags: Vec<Tag>,
    /// Its place among the roots.
    pub(super) position: usize,
}

impl Plan {
    /// Moves one blob, without a manifest.
    pub(super) fn of_blob(blob: Descriptor) -> Self {
        Plan {
            blobs: vec![blob],
            ..Plan::default()
        }
    }

    /// Makes and moves one layer, without a manifest.
    pub(super) fn of_layer(layer: PendingLayer) -> Self {
        Plan {
            pending: vec![layer],
            ..Plan::default()
        }
    }

    /// Bytes of all content of known size, in the store already or not. The sum of the stated sizes
    /// saturates.
    pub fn bytes(&self) -> u64 {
        let manifests = self
            .children
            .iter()
            .flatten()
            .chain(self.roots.iter().map(|root| &root.manifest));
        self.blobs
            .iter()
            .chain(&self.existing)
            .map(|descriptor| descriptor.size)
            .chain(manifests.map(Manifest::size))
            .fold(0, u64::saturating_add)
    }

    /// Number of blobs and manifests, in the store already or not.
    pub fn nodes(&self) -> usize {
        let drafts = self.all_drafts();
        let later = drafts
            .iter()
            .filter(|draft| draft.config.stored().is_none());
        let indexes = self
            .indexes
            .iter()
            .map(|planned| 1 + planned.draft.indexes());
        self.blobs.len()
            + self.pending.len()
            + self.children.iter().map(Vec::len).sum::<usize>()
            + self.roots.len()
            + drafts.len()
            + later.count()
            + indexes.sum::<usize>()
            + self.existing.len()
    }

    /// The drafts of images: roots, and below drafts of indexes.
    fn all_drafts(&self) -> Vec<&Draft> {
        let roots = self.drafts.iter().map(|planned| &planned.draft);
        let below = self.indexes.iter();
        let below = below.flat_map(|planned| planned.draft.drafts());
        roots.chain(below).collect()
    }
}
