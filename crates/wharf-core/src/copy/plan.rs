//! What a copy will do, as plain data: made from manifests, obeyed by the executor.
//!
//! Invariant: everything a planned manifest links to is planned too, or was in the store.

use wharf_oci::{Descriptor, Manifest, Tag};

use crate::draft::{Draft, PendingLayer, RecalledLayer};

/// Where a copy starts, and what that is called at its end.
#[derive(Clone, Debug)]
pub struct Root {
    /// The manifest, or the image that becomes one.
    pub content: RootContent,
    /// The tags it gets in the store; none: it is there by digest only.
    pub tags: Vec<Tag>,
}

/// What a root is. It comes [`From`] a descriptor, an entry of a layout, a draft or a new image.
#[derive(Clone, Debug)]
pub enum RootContent {
    /// A manifest of the source.
    Manifest(Descriptor),
    /// An image with layers that are made while they are sent.
    Draft(Draft),
}

/// Everything a copy will do. Made by [`Plan::build`], which changes nothing; [`Plan::survey`] asks
/// what it would mean, and [`Plan::execute`] does it.
///
/// A plan is data, and may be read, changed or made by hand: what it does not name is not done.
#[derive(Debug, Default)]
pub struct Plan {
    /// Distinct blobs to check and move, largest first: configs, layers and what else manifests
    /// link to. Those that the store has are still among them.
    pub blobs: Vec<Descriptor>,
    /// Distinct layers to make and move; their digests are learned on the way.
    pub pending: Vec<PendingLayer>,
    /// Layers among `blobs` that are made instead where what is remembered of them is wrong.
    pub recalled: Vec<RecalledLayer>,
    /// Manifests below the roots, in groups: each group links to earlier ones only.
    pub children: Vec<Vec<Manifest>>,
    /// Root manifests that are still to be put, or tagged, in the order given; after `children`.
    pub roots: Vec<PlannedManifest>,
    /// Roots that become manifests once their layers are made.
    pub drafts: Vec<PlannedDraft>,
    /// Manifests the store has, with everything below them.
    pub existing: Vec<Descriptor>,
    /// Layers left out because their makers do not let them be distributed.
    pub skipped: Vec<Descriptor>,
    /// What each root is, in the order given; `None` for drafts.
    pub named: Vec<Option<Descriptor>>,
}

/// A root manifest and the tags it still has to get.
#[derive(Debug)]
pub struct PlannedManifest {
    /// The exact bytes to put.
    pub manifest: Manifest,
    /// What it was made of, where that has layers that are only remembered: should one of them be
    /// another, the manifest is as well.
    pub draft: Option<Draft>,
    /// The tags to put it under; none: by digest.
    pub tags: Vec<Tag>,
}

/// A draft and the tags its manifest will get.
#[derive(Debug)]
pub struct PlannedDraft {
    /// The image to be.
    pub draft: Draft,
    /// The tags to put it under; none: by digest.
    pub tags: Vec<Tag>,
    /// Its place among the roots.
    pub position: usize,
}

impl Plan {
    /// Bytes of all content whose size is known, in the store already or not. Sizes are what
    /// manifests say, so the sum stops at the largest number there is.
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
        let later = |planned: &&PlannedDraft| planned.draft.config.stored().is_none();
        self.blobs.len()
            + self.pending.len()
            + self.children.iter().map(Vec::len).sum::<usize>()
            + self.roots.len()
            + self.drafts.len()
            + self.drafts.iter().filter(later).count()
            + self.existing.len()
    }
}
