//! The last step: drafts become manifests; manifests are put, children first, tags last.

use std::borrow::Cow;
use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt, stream};
use wharf_oci::{Manifest, Tag};

use super::retry::{self, Reach};
use super::target::Target;
use super::tee::Seat;
use crate::blob::Blob;
use crate::copy::{Event, Plan, PlannedManifest, Retry};
use crate::draft::{Draft, LayerKey, MadeLayer, PendingLayer};
use crate::store::Outcome;
use crate::{Error, Result, Side};

type Made = HashMap<LayerKey, MadeLayer>;

impl Target<'_> {
    /// Puts every manifest of `plan`, whose blobs are in the store, and makes all durable.
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
                .try_for_each_concurrent(self.options.jobs(), |manifest| self.put_child(manifest))
                .await?;
        }
        let mut named = plan.named.clone();
        for root in &plan.roots {
            let manifest = self.manifest_of(root, &made)?;
            self.put_root(&manifest, &root.tags).await?;
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
            self.put_root(&finished.manifest, &planned.tags).await?;
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
        self.put(config, &Seat::alone(), None).await
    }

    async fn put_child(&self, manifest: &Manifest) -> Result<()> {
        let put = || self.store.put_manifest(manifest, None);
        self.put_manifest(manifest, 1, put).await
    }

    /// Puts a root under all of its tags, or by digest where it has none.
    async fn put_root(&self, manifest: &Manifest, tags: &[Tag]) -> Result<()> {
        match tags {
            [] => {
                let put = || self.store.put_root(manifest, None);
                self.put_manifest(manifest, 1, put).await
            }
            [tag] => {
                let put = || self.store.put_root(manifest, Some(tag));
                self.put_manifest(manifest, 1, put).await
            }
            tags => {
                let put = || self.store.put_tags(manifest, tags);
                self.put_manifest(manifest, tags.len() as u64, put).await
            }
        }
    }

    async fn put_manifest<W>(
        &self,
        manifest: &Manifest,
        names: u64,
        mut put: impl FnMut() -> W,
    ) -> Result<()>
    where
        W: Future<Output = Result<()>>,
    {
        let descriptor = manifest.descriptor();
        let notice = |again: &Retry<'_>| self.tell(Event::Retried(descriptor.into(), again));
        let put = || {
            let put = put();
            async { put.await.map_err(unsettled) }
        };
        let put = retry::run(&self.options.retry, put, &Reach::default(), notice).await;
        put.map_err(|error| error.side(Side::Destination))?;
        self.tell(Event::Finished(
            descriptor.into(),
            descriptor,
            Outcome::Written,
        ));
        self.note(|summary| summary.manifests += names);
        Ok(())
    }
}

/// Everything that a manifest links to was put or found before. A registry that does not know some
/// of it is not ready yet: where files are its storage, distribution writes the link of a blob
/// anew, and not at once, each time that somebody else puts the blob too.
fn unsettled(error: Error) -> Error {
    let codes = error.diagnostic().map(|diagnostic| &diagnostic.errors);
    let unknown = |code: &str| matches!(code, "MANIFEST_BLOB_UNKNOWN" | "BLOB_UNKNOWN");
    match codes.is_some_and(|codes| codes.iter().any(|entry| unknown(&entry.code))) {
        true => error.transient(true),
        false => error,
    }
}
