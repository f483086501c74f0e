//! The last step: drafts become manifests; manifests are put, children first, tags last.

use futures::{StreamExt, TryStreamExt, stream};
use wharf_oci::{Manifest, Tag};

use super::retry::{self, Reach};
use super::target::Target;
use super::tee::Tee;
use crate::blob::Blob;
use crate::copy::{Event, Plan, Retry};
use crate::draft::PendingLayer;
use crate::store::Outcome;
use crate::{Error, Result, Side};

impl Target<'_> {
    /// Puts every manifest of `plan`, whose blobs are in the store, and makes all durable.
    ///
    /// # Errors
    /// The first final one.
    pub(super) async fn commit(&self, plan: &Plan) -> Result<()> {
        let made = self.made();
        let became = |layer: &PendingLayer| made.get(layer.key()).cloned();
        self.note(|summary| summary.layers = plan.pending.iter().filter_map(became).collect());
        for group in &plan.children {
            stream::iter(group)
                .map(Ok)
                .try_for_each_concurrent(self.options.jobs(), |manifest| self.put_child(manifest))
                .await?;
        }
        for root in &plan.roots {
            self.put_root(&root.manifest, &root.tags).await?;
        }
        let mut named = plan.named.clone();
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

    /// A config that names layers which were only just made.
    async fn put_config(&self, config: &Blob) -> Result<()> {
        self.tell(Event::Joined(config.descriptor()));
        let (_, seats) = Tee::with_seats(1);
        match seats.first() {
            Some(seat) => self.put(config, seat, None).await,
            None => Ok(()),
        }
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
        let notice = |again: &Retry<'_>| self.tell(Event::Retried(descriptor, again));
        let put = || {
            let put = put();
            async { put.await.map_err(unsettled) }
        };
        let put = retry::run(&self.options.retry, put, &Reach::default(), notice).await;
        put.map_err(|error| error.side(Side::Destination))?;
        self.tell(Event::Finished(descriptor, Outcome::Written));
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
