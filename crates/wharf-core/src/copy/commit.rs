//! The last step: drafts become manifests; manifests are put, children first, tags last.

use std::borrow::Cow;
use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt, stream};
use wharf_oci::Manifest;

use super::plan::PlannedManifest;
use super::retry::{self, Reach};
use super::share::BlobShare;
use super::target::Target;
use crate::blob::Blob;
use crate::copy::{Event, Plan, Retry};
use crate::draft::Draft;
use crate::layer::{LayerKey, MadeLayer, PendingLayer};
use crate::store::{Names, Outcome};
use crate::{Error, Result, Side};

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
                *name = manifest.descriptor().clone();
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
                *named = Some(finished.manifest.descriptor().clone());
            }
        }
        let flushed = self.store.flush().await;
        flushed.map_err(|error| error.side(Side::Destination))?;
        self.note(|summary| summary.roots = named.into_iter().flatten().collect());
        Ok(())
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
        self.put(&BlobShare::alone(config), None).await
    }

    async fn put_manifest(&self, manifest: &Manifest, names: Names<'_>) -> Result<()> {
        let descriptor = manifest.descriptor();
        let notice = |again: &Retry<'_>| self.tell(Event::Retried(descriptor.into(), again));
        let put = || async {
            let put = self.store.put_manifest(manifest, names).await;
            put.map_err(unsettled)
        };
        let put = retry::run(&self.options.retry, put, &Reach::default(), notice).await;
        put.map_err(|error| error.side(Side::Destination))?;
        self.tell(Event::Finished(
            descriptor.into(),
            descriptor,
            Outcome::Written,
        ));
        self.note(|summary| summary.manifests += names.tags().len().max(1) as u64);
        Ok(())
    }
}

/// Makes an error transient that says that a link of the manifest is unknown: all links were put or
/// found before, so the registry is not ready yet. On a file system, distribution rewrites the link
/// of a blob, not atomically, each time that another client puts the blob.
fn unsettled(error: Error) -> Error {
    let codes = error.diagnostic().map(|diagnostic| &diagnostic.errors);
    let unknown = |code: &str| matches!(code, "MANIFEST_BLOB_UNKNOWN" | "BLOB_UNKNOWN");
    match codes.is_some_and(|codes| codes.iter().any(|entry| unknown(&entry.code))) {
        true => error.transient(true),
        false => error,
    }
}
