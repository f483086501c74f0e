//! What a plan would do: a dry run (wire.md O10). Asks, and changes nothing.

use futures::{StreamExt, TryStreamExt, stream};
use wharf_oci::{Descriptor, Repository, Tag};

use crate::copy::{CopyOptions, Existing, Plan};
use crate::layer::PendingLayer;
use crate::store::{Beat, Holding, Source, Store};
use crate::{Error, Result, Side};

/// What a copy would do. Made by [`Plan::survey`].
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Distinct blobs, largest first, with the fate of each.
    pub blobs: Vec<(Descriptor, Fate)>,
    /// Layers that would be made while they are sent; their sizes are uncompressed.
    pub layers: Vec<PendingLayer>,
    /// Manifests that would be put, in order: children before parents.
    pub manifests: Vec<SurveyedManifest>,
    /// Manifests the store has, with everything below them.
    pub unchanged: Vec<Descriptor>,
    /// Layers left out because their makers do not let them be distributed.
    pub skipped: Vec<Descriptor>,
}

/// What a copy would do with a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing: it is there.
    Existing,
    /// Ask the registry to link it from this repository; upload it if that is refused.
    Mount(Repository),
    /// Move its bytes.
    Upload,
}

/// A manifest that would be put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurveyedManifest {
    /// Its descriptor; `None` if its layers must be made first.
    pub descriptor: Option<Descriptor>,
    /// The tags that would name it afterwards.
    pub tags: Vec<Tag>,
}

impl Survey {
    /// Number of blobs of this fate, and the sum of their sizes in bytes.
    pub fn count(&self, fits: impl Fn(&Fate) -> bool) -> (usize, u64) {
        self.blobs
            .iter()
            .filter(|(_, fate)| fits(fate))
            .fold((0, 0), |(count, bytes), (descriptor, _)| {
                (count + 1, bytes.saturating_add(descriptor.size))
            })
    }
}

impl Plan {
    /// Finds out what [`Plan::execute`] would do with the same arguments. Asks the store for every
    /// blob, at most `options.checks` at once.
    ///
    /// # Errors
    /// If the store cannot be asked.
    pub async fn survey(
        &self,
        source: &dyn Source,
        store: &dyn Store,
        options: &CopyOptions,
    ) -> Result<Survey> {
        let source = source.raw_source().unwrap_or(source);
        let store = store.raw_store().unwrap_or(store);
        let asked = self.blobs.iter().map(|blob| async move {
            let fate = fate(blob, source, store, options).await;
            let fate = fate.map_err(|error| error.side(Side::Destination))?;
            Ok::<_, Error>((blob.clone(), fate))
        });
        // Collected, because otherwise the compiler does not see that this is `Send`
        // (rust-lang/rust#102211). Each request still waits for its turn.
        let asked: Vec<_> = asked.collect();
        let blobs = stream::iter(asked)
            .buffered(options.checks())
            .try_collect()
            .await?;
        Ok(Survey {
            blobs,
            layers: self.pending.clone(),
            manifests: self.surveyed_manifests(),
            unchanged: self.existing.clone(),
            skipped: self.skipped.clone(),
        })
    }

    fn surveyed_manifests(&self) -> Vec<SurveyedManifest> {
        let children = self.children.iter().flatten();
        let children = children.map(|manifest| (Some(manifest), Vec::new()));
        let roots = self.roots.iter();
        let roots = roots.map(|root| (Some(&root.manifest), root.tags.clone()));
        let drafts = self.drafts.iter().map(|draft| (None, draft.tags.clone()));
        let below = self.indexes.iter().flat_map(|planned| {
            let made = planned.draft.drafts().len() + planned.draft.indexes();
            std::iter::repeat_n((None, Vec::new()), made)
        });
        let indexes = self.indexes.iter().map(|index| (None, index.tags.clone()));
        children
            .chain(roots)
            .chain(drafts)
            .chain(below)
            .chain(indexes)
            .map(|(manifest, tags)| SurveyedManifest {
                descriptor: manifest.map(|manifest| manifest.descriptor().clone()),
                tags,
            })
            .collect()
    }
}

async fn fate(
    blob: &Descriptor,
    source: &dyn Source,
    store: &dyn Store,
    options: &CopyOptions,
) -> Result<Fate> {
    let ask = async || store.holding(blob).await;
    let pulse = store.pulse().unwrap_or_default();
    match options.retry.run_with(&pulse, Beat::Read, ask).await? {
        Holding::Whole => return Ok(Fate::Existing),
        Holding::Absent if options.existing == Existing::Trust => {}
        Holding::Absent | Holding::Other(_) => return Ok(Fate::Upload),
    }
    let (from, to) = (source.blob(blob), store.blob(blob));
    match (from.origin(), to.origin()) {
        // Only repositories of one registry can link each other's blobs.
        (Some(from), Some(to)) if from.registry() == to.registry() => Ok(Fate::Mount(from.clone())),
        _ => Ok(store
            .hints()
            .mount_source(blob)
            .map_or(Fate::Upload, Fate::Mount)),
    }
}
