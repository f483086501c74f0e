//! The last step: drafts become manifests; manifests are put, children first, tags last.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use futures::{StreamExt, TryStreamExt, stream};
use wharf_oci::{Descriptor, Manifest, Tag};

use super::plan::PlannedManifest;
use super::share::BlobShare;
use super::target::{Known, Target};
use crate::blob::Blob;
use crate::copy::{Event, Plan};
use crate::draft::{Draft, FinishedDraft, IndexDraft};
use crate::layer::{LayerKey, MadeLayer, PendingLayer};
use crate::store::Names;
use crate::{Result, Side};

type Made = HashMap<LayerKey, MadeLayer>;

impl Target<'_> {
    /// Puts every manifest of `plan` and makes all durable. The blobs are in the store.
    ///
    /// # Errors
    /// The first final one.
    pub(super) async fn commit(&self, plan: &Plan) -> Result<()> {
        let made = self.made();
        let became = |layer: &PendingLayer| made.get(layer.key()).cloned();
        let recalled = plan.recalled.iter().map(|recalled| &recalled.layer);
        let layers = plan.pending.iter().chain(recalled).filter_map(became);
        self.note(|summary| summary.layers = layers.collect());
        for group in &plan.children {
            stream::iter(group)
                .map(Ok)
                .try_for_each_concurrent(self.options.jobs(), |manifest| {
                    self.put_manifest(manifest, Names::Child)
                })
                .await?;
        }
        let mut named = plan.named.clone();
        for root in &plan.roots {
            let manifest = self.manifest_of(root, &made)?;
            self.put_manifest(&manifest, Names::Root(&root.tags))
                .await?;
            let planned = named.iter_mut().flatten();
            for name in planned.filter(|name| name.digest == *root.manifest.digest()) {
                *name = self.kept(&manifest);
            }
        }
        for planned in &plan.drafts {
            let finished = planned.draft.finish(&made)?;
            if let Some(config) = finished.config {
                self.put_config(&config).await?;
            }
            self.tell(Event::Joined(finished.manifest.descriptor()));
            self.put_manifest(&finished.manifest, Names::Root(&planned.tags))
                .await?;
            if let Some(named) = named.get_mut(planned.position) {
                *named = Some(self.kept(&finished.manifest));
            }
        }
        for planned in &plan.indexes {
            let index = self.put_index(&planned.draft, &made, &planned.tags).await?;
            if let Some(named) = named.get_mut(planned.position) {
                *named = Some(self.kept(&index));
            }
        }
        let flushed = self.store.flush().await;
        flushed.map_err(|error| error.side(Side::Destination))?;
        self.note(|summary| summary.roots = named.into_iter().flatten().collect());
        Ok(())
    }

    /// Puts what was made below an index, and then the index.
    async fn put_index(&self, draft: &IndexDraft, made: &Made, tags: &[Tag]) -> Result<Manifest> {
        let finished = draft.finish(made)?;
        let images = distinct(&finished.images);
        stream::iter(images)
            .map(Ok)
            .try_for_each_concurrent(self.options.jobs(), |image| async move {
                if let Some(config) = &image.config {
                    self.put_config(config).await?;
                }
                self.put_made(&image.manifest, Names::Child).await
            })
            .await?;
        for below in &finished.below {
            self.put_made(below, Names::Child).await?;
        }
        self.put_made(&finished.manifest, Names::Root(tags)).await?;
        Ok(finished.manifest)
    }

    /// Puts a manifest that the source does not have.
    async fn put_made(&self, manifest: &Manifest, names: Names<'_>) -> Result<()> {
        self.keep_manifest(manifest);
        self.tell(Event::Joined(manifest.descriptor()));
        self.put_manifest(manifest, names).await
    }

    /// The descriptor of a manifest that was put, with the digest by which the store has it.
    fn kept(&self, manifest: &Manifest) -> Descriptor {
        let mut descriptor = manifest.descriptor().clone();
        if let Some(other) = self.store.hints().kept_as(&descriptor.digest) {
            descriptor.digest = other;
        }
        descriptor
    }

    /// The manifest of a root: another one than was planned, where a layer of it is not what was
    /// remembered.
    fn manifest_of<'m>(&self, root: &'m PlannedManifest, made: &Made) -> Result<Cow<'m, Manifest>> {
        let is_another = |draft: &&Draft| {
            let mut recalled = draft.recalled();
            recalled.any(|recalled| made.contains_key(recalled.layer.key()))
        };
        let Some(draft) = root.draft.as_ref().filter(is_another) else {
            return Ok(Cow::Borrowed(&root.manifest));
        };
        let manifest = draft.finish(made)?.manifest;
        self.tell(Event::Dropped(root.manifest.descriptor()));
        self.tell(Event::Joined(manifest.descriptor()));
        Ok(Cow::Owned(manifest))
    }

    /// A config that names layers which were only just made.
    async fn put_config(&self, config: &Blob) -> Result<()> {
        self.tell(Event::Joined(config.descriptor()));
        self.keep(config);
        self.put(&BlobShare::alone(config), Known::Nothing).await
    }
}

/// Each image once: platforms may share one.
fn distinct(images: &[FinishedDraft]) -> Vec<&FinishedDraft> {
    let mut seen = HashSet::new();
    let is_new = |image: &&FinishedDraft| seen.insert(image.manifest.digest().clone());
    images.iter().filter(is_new).collect()
}
