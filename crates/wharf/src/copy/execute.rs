//! Obeys a plan: checks and moves blobs, then commits manifests, children first, tags last.
//!
//! A manifest is put only when everything it links to is in the store; the first final error
//! drops all other work, and no tag has moved unless all content was in the store.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::Semaphore;
use wharf_oci::{Descriptor, Manifest, Tag};

use crate::blob::{Blob, ByteStream};
use crate::copy::{CopyOptions, Event, Plan, Root, retry};
use crate::draft::{LayerKey, MadeLayer, PendingLayer};
use crate::store::{Outcome, Source, Store};
use crate::{Error, ErrorKind, Result, Side};

/// What a copy did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Blobs whose bytes were moved.
    pub written: u64,
    /// Blobs the registry linked from another repository.
    pub mounted: u64,
    /// Blobs that were there, as far as they were asked for: those below a manifest that was
    /// there are not.
    pub existed: u64,
    /// Manifests that were there, with everything below them.
    pub unchanged: u64,
    /// Manifests put.
    pub manifests: u64,
    /// Bytes of blobs moved.
    pub bytes: u64,
    /// Non-distributable layers left out.
    pub skipped: u64,
    /// What each root is in the store, in the order given.
    pub roots: Vec<Descriptor>,
    /// What each layer that was made on the way became, in the order of the plan.
    pub layers: Vec<MadeLayer>,
}

/// Copies everything below `roots` from `source` to `store`.
///
/// # Errors
/// The first final one, which says on which side it happened; no tag has moved
/// unless all content was in the store, and run again it does only what is missing.
pub async fn copy(
    source: &dyn Source,
    store: &dyn Store,
    roots: &[Root],
    options: &CopyOptions,
) -> Result<Summary> {
    let work = async {
        let plan = Plan::build(source, store, roots, options).await?;
        plan.execute(source, store, options).await
    };
    let outcome = work.await;
    if let Err(error) = &outcome {
        options.observer.on(Event::Failed(error));
    }
    outcome
}

impl Plan {
    /// Does what the plan says.
    ///
    /// # Errors
    /// As [`copy`].
    pub async fn execute(
        mut self,
        source: &dyn Source,
        store: &dyn Store,
        options: &CopyOptions,
    ) -> Result<Summary> {
        options.observer.on(Event::Planned {
            bytes: self.bytes(),
            nodes: self.nodes(),
        });
        for descriptor in &self.existing {
            options
                .observer
                .on(Event::Finished(descriptor, Outcome::Existed));
        }
        let executor = Executor {
            source,
            store,
            options,
            transfers: Semaphore::new(options.jobs.max(1)),
            checks: Semaphore::new(options.checks.max(1)),
        };
        let mut summary = Summary {
            skipped: self.skipped.len() as u64,
            unchanged: self.existing.len() as u64,
            ..Summary::default()
        };
        let made = executor.move_all(&self, &mut summary).await?;
        executor.commit(&mut self, &made, &mut summary).await?;
        let became = |layer: &PendingLayer| made.get(layer.key()).cloned();
        summary.layers = self.pending.iter().filter_map(became).collect();
        store
            .flush()
            .await
            .map_err(|error| error.side(Side::Destination))?;
        summary.roots = self.named.into_iter().flatten().collect();
        Ok(summary)
    }
}

struct Executor<'a> {
    source: &'a dyn Source,
    store: &'a dyn Store,
    options: &'a CopyOptions,
    transfers: Semaphore,
    checks: Semaphore,
}

enum Work<'a> {
    Blob(&'a Descriptor),
    Layer(&'a PendingLayer),
}

enum Moved {
    Blob(u64, Outcome),
    Layer(LayerKey, Box<MadeLayer>),
}

impl Executor<'_> {
    /// Moves every blob and layer; says what each pending layer became.
    async fn move_all(
        &self,
        plan: &Plan,
        summary: &mut Summary,
    ) -> Result<HashMap<LayerKey, MadeLayer>> {
        let layers = plan.pending.iter().map(Work::Layer);
        let work = layers.chain(plan.blobs.iter().map(Work::Blob));
        // More blobs are under way than are moved: the others are being checked.
        let under_way = self.options.jobs.max(1) + self.options.checks.max(1);
        let mut moving = stream::iter(work)
            .map(|work| async move {
                match work {
                    Work::Blob(descriptor) => self.move_blob(self.source.blob(descriptor)).await,
                    Work::Layer(layer) => self.make_layer(layer).await,
                }
            })
            .buffer_unordered(under_way);
        let mut made = HashMap::new();
        while let Some(moved) = moving.try_next().await? {
            match moved {
                Moved::Blob(size, outcome) => summary.count(outcome, size),
                Moved::Layer(key, layer) => {
                    summary.count(Outcome::Written, layer.descriptor.size);
                    made.insert(key, *layer);
                }
            }
        }
        Ok(made)
    }

    async fn move_blob(&self, blob: Blob) -> Result<Moved> {
        let reached = Arc::new(AtomicU64::new(0));
        let descriptor = &blob.descriptor().clone();
        let blob = self.observed(&blob, &reached);
        let attempt = async || {
            reached.store(0, Ordering::Relaxed);
            let checking = permit(&self.checks).await?;
            if self.store.contains(descriptor).await? {
                return Ok(Outcome::Existed);
            }
            drop(checking);
            let _moving = permit(&self.transfers).await?;
            self.options.observer.on(Event::Started(descriptor));
            self.store.put_blob(&blob).await
        };
        let notice = |error: &Error| self.options.observer.on(Event::Retried(descriptor, error));
        let outcome = self.retry(attempt, &reached, notice).await;
        let outcome = outcome.map_err(|error| error.side(Side::Destination))?;
        self.options
            .observer
            .on(Event::Finished(descriptor, outcome));
        Ok(Moved::Blob(descriptor.size, outcome))
    }

    async fn make_layer(&self, layer: &PendingLayer) -> Result<Moved> {
        let reached = Arc::new(AtomicU64::new(0));
        let attempt = async || {
            let _moving = permit(&self.transfers).await?;
            self.options.observer.on(Event::LayerStarted(layer));
            let production = layer
                .start()
                .await
                .map_err(|error| error.side(Side::Source))?;
            let (stream, diff) = production.split();
            let stream = self.observed_layer(stream, layer, &reached);
            let ingested = self.store.ingest(layer.media_type(), stream).await;
            diff.of(ingested.map_err(|error| layer.judged(error))?)
                .await
        };
        let notice = |error: &Error| self.options.observer.on(Event::LayerRetried(layer, error));
        let made = self.retry(attempt, &reached, notice).await;
        let made = made.map_err(|error| error.side(Side::Destination))?;
        layer.tell(&made.descriptor);
        let observer = &self.options.observer;
        observer.on(Event::Joined(&made.descriptor));
        observer.on(Event::LayerFinished(layer, &made.descriptor));
        Ok(Moved::Layer(layer.key().clone(), Box::new(made)))
    }

    async fn retry<T>(
        &self,
        attempt: impl AsyncFnMut() -> Result<T>,
        reached: &AtomicU64,
        notice: impl Fn(&Error),
    ) -> Result<T> {
        retry::run(
            &self.options.retry,
            attempt,
            || reached.load(Ordering::Relaxed),
            notice,
        )
        .await
    }

    /// The blob, telling the observer how far it was read.
    fn observed(&self, blob: &Blob, reached: &Arc<AtomicU64>) -> Blob {
        let (observer, reached) = (Arc::clone(&self.options.observer), Arc::clone(reached));
        let descriptor = blob.descriptor().clone();
        blob.mapped(move |offset, stream| {
            let (observer, reached) = (Arc::clone(&observer), Arc::clone(&reached));
            let descriptor = descriptor.clone();
            let mut position = offset;
            stream
                .map_err(|error| error.side(Side::Source))
                .inspect_ok(move |chunk| {
                    position += chunk.len() as u64;
                    reached.store(position, Ordering::Relaxed);
                    observer.on(Event::Advanced(&descriptor, position));
                })
                .boxed()
        })
    }

    fn observed_layer(
        &self,
        stream: ByteStream,
        layer: &PendingLayer,
        reached: &Arc<AtomicU64>,
    ) -> ByteStream {
        let (observer, reached) = (Arc::clone(&self.options.observer), Arc::clone(reached));
        let layer = layer.clone();
        let mut position = 0;
        stream
            .map_err(|error| error.side(Side::Source))
            .inspect_ok(move |chunk| {
                position += chunk.len() as u64;
                reached.store(position, Ordering::Relaxed);
                observer.on(Event::LayerAdvanced(&layer, position));
            })
            .boxed()
    }

    async fn commit(
        &self,
        plan: &mut Plan,
        made: &HashMap<LayerKey, MadeLayer>,
        summary: &mut Summary,
    ) -> Result<()> {
        for group in &plan.children {
            let put = stream::iter(group).map(|manifest| self.put_child(manifest));
            let put = put.buffer_unordered(self.options.jobs.max(1));
            summary.manifests += put.try_fold(0, |n, ()| async move { Ok(n + 1) }).await?;
        }
        for root in &plan.roots {
            summary.manifests += self.put_root(&root.manifest, &root.tags).await?;
        }
        for planned in &plan.drafts {
            let finished = planned.draft.finish(made)?;
            if let Some(config) = finished.config {
                self.options.observer.on(Event::Joined(config.descriptor()));
                if let Moved::Blob(size, outcome) = self.move_blob(config).await? {
                    summary.count(outcome, size);
                }
            }
            let manifest = finished.manifest;
            self.options
                .observer
                .on(Event::Joined(manifest.descriptor()));
            summary.manifests += self.put_root(&manifest, &planned.tags).await?;
            if let Some(named) = plan.named.get_mut(planned.position) {
                *named = Some(manifest.descriptor().clone());
            }
        }
        Ok(())
    }

    /// Puts a root under each of its tags, or by digest; says in how many requests.
    async fn put_root(&self, manifest: &Manifest, tags: &[Tag]) -> Result<u64> {
        let untagged = tags.is_empty().then_some(Place::Root(None));
        let places = tags.iter().map(|tag| Place::Root(Some(tag)));
        let mut puts = 0;
        for place in places.chain(untagged) {
            self.put(manifest, place).await?;
            puts += 1;
        }
        self.finished(manifest);
        Ok(puts)
    }

    async fn put_child(&self, manifest: &Manifest) -> Result<()> {
        self.put(manifest, Place::Child).await?;
        self.finished(manifest);
        Ok(())
    }

    async fn put(&self, manifest: &Manifest, place: Place<'_>) -> Result<()> {
        let descriptor = manifest.descriptor();
        let attempt = async || match place {
            Place::Child => self.store.put_manifest(manifest, None).await,
            Place::Root(tag) => self.store.put_root(manifest, tag).await,
        };
        let notice = |error: &Error| self.options.observer.on(Event::Retried(descriptor, error));
        let put = self.retry(attempt, &AtomicU64::new(0), notice).await;
        put.map_err(|error| error.side(Side::Destination))
    }

    fn finished(&self, manifest: &Manifest) {
        let event = Event::Finished(manifest.descriptor(), Outcome::Written);
        self.options.observer.on(event);
    }
}

#[derive(Clone, Copy)]
enum Place<'a> {
    Child,
    Root(Option<&'a Tag>),
}

impl Summary {
    fn count(&mut self, outcome: Outcome, size: u64) {
        match outcome {
            Outcome::Existed => self.existed += 1,
            Outcome::Mounted => self.mounted += 1,
            Outcome::Written => {
                self.written += 1;
                self.bytes += size;
            }
        }
    }
}

async fn permit(semaphore: &Semaphore) -> Result<tokio::sync::SemaphorePermit<'_>> {
    // The semaphores live as long as the work and are never closed.
    let closed = |_| Error::new(ErrorKind::Cancelled, "work was given up");
    semaphore.acquire().await.map_err(closed)
}
