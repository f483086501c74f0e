//! One destination of a copy: what moves there, how often it is tried, and whether it failed.
//!
//! Each destination fails or succeeds on its own; the first final error of one ends all work for
//! that one, and no other.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{Semaphore, watch};
use wharf_oci::{Descriptor, Digest, Manifest, MediaType, Repository};

use super::lanes::Lanes;
use super::log;
use super::retry::Beside;
use super::unbroken::unbroken;
use crate::blob::Blob;
use crate::copy::{CopyOptions, Event, Existing, Plan, Summary};
use crate::layer::{LayerKey, MadeLayer, PendingLayer};
use crate::store::{Beat, Holding, Outcome, Pulse, Source, Store};
use crate::sync::Lock;
use crate::{Error, ErrorKind, Result};

/// A store, and all that is known of the copy into it.
pub(super) struct Target<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) store: &'a dyn Store,
    /// The bound of all destinations for what moves.
    pub(super) transfers: &'a Lanes,
    /// The repository of a registry that the store is, if it is one.
    home: Option<Repository>,
    /// Its name in the log.
    pub(super) place: String,
    /// As for all destinations, but with this one's observer.
    pub(super) options: CopyOptions,
    pub(super) checks: Semaphore,
    pulse: Arc<Pulse>,
    pub(super) progress: Lock<Progress>,
    stopped: watch::Sender<bool>,
    /// How many blobs and layers are not yet there.
    lacking: watch::Sender<usize>,
}

#[derive(Default)]
pub(super) struct Progress {
    pub(super) summary: Summary,
    pub(super) made: HashMap<LayerKey, MadeLayer>,
    failure: Option<Error>,
    /// What was to be moved.
    pub(super) blobs: Vec<Digest>,
    /// The blobs that are layers of a remembered digest.
    pub(super) recalled: HashMap<Digest, PendingLayer>,
    /// How each blob got here.
    pub(super) outcomes: HashMap<Digest, Outcome>,
    /// Blobs that this copy made, and the source does not have.
    made_here: HashMap<Digest, Blob>,
    /// Manifests of that kind.
    manifests_made: HashMap<Digest, Manifest>,
}

/// What is known of a blob at a store before the first try to move it.
pub(super) enum Known {
    /// Nothing: the try asks.
    Nothing,
    /// The answer of the store, or why there is none. That was the first part of the first try
    /// (wire.md R3).
    Answered(Result<Holding>),
    /// It must be sent whatever the store says, which refused a manifest for the lack of content.
    Refuted,
}

impl<'a> Target<'a> {
    pub(super) fn new(
        source: &'a dyn Source,
        store: &'a dyn Store,
        transfers: &'a Lanes,
        options: CopyOptions,
    ) -> Self {
        // A handle; no blob is read.
        let nothing = Descriptor::new(MediaType::OCTET_STREAM, Digest::of(b""), 0);
        Target {
            source,
            home: store.blob(&nothing).origin().cloned(),
            store,
            transfers,
            place: store.place().unwrap_or_default(),
            checks: Semaphore::new(options.checks()),
            pulse: store.pulse().unwrap_or_default(),
            options,
            progress: Lock::default(),
            stopped: watch::Sender::new(false),
            lacking: watch::Sender::new(0),
        }
    }

    /// Notes what the plan wants moved, should it have to be given up or be made anew.
    pub(super) fn will_move(&self, plan: &Plan) {
        let blobs = plan.blobs.iter().map(|blob| blob.digest.clone());
        let recalled = plan.recalled.iter();
        let recalled = recalled.map(|known| (known.descriptor.digest.clone(), known.layer.clone()));
        let mut progress = self.progress.lock();
        progress.blobs = blobs.collect();
        progress.recalled = recalled.collect();
    }

    /// Tells the store that the copy is given up.
    pub(super) fn give_up(&self) {
        self.store.hints().give_up(&self.progress.lock().blobs);
    }

    /// Does `work`, unless this destination has failed or fails meanwhile. Its error is this
    /// destination's failure.
    pub(super) async fn run<T>(&self, work: impl Future<Output = Result<T>>) -> Option<T> {
        let mut stopped = self.stopped.subscribe();
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => None,
            outcome = work => outcome.map_err(|error| self.fail(error)).ok(),
        }
    }

    fn fail(&self, error: Error) {
        self.progress.lock().failure.get_or_insert(error);
        self.stopped.send_replace(true);
        // At once: other destinations may go on for long, and what failed is not paused.
        self.give_up();
    }

    pub(super) fn has_failed(&self) -> bool {
        *self.stopped.borrow()
    }

    /// One more thing is to be moved here.
    pub(super) fn lacks(&self) {
        self.lacking.send_modify(|lacking| *lacking += 1);
    }

    /// One of them is done with: it is there, or this destination has failed.
    pub(super) fn lacks_one_less(&self) {
        self.lacking
            .send_modify(|lacking| *lacking = lacking.saturating_sub(1));
    }

    /// Waits until nothing is lacking: the others may be slower.
    pub(super) async fn has_all(&self) {
        // The sender lives as long as we do.
        let _ = self
            .lacking
            .subscribe()
            .wait_for(|lacking| *lacking == 0)
            .await;
    }

    /// Adds to what was done.
    pub(super) fn note(&self, change: impl FnOnce(&mut Summary)) {
        change(&mut self.progress.lock().summary);
    }

    /// What the pending layers became.
    pub(super) fn made(&self) -> HashMap<LayerKey, MadeLayer> {
        self.progress.lock().made.clone()
    }

    /// What was done, or why not all of it, which is the last that the observer is told.
    pub(super) fn outcome(self) -> Result<Summary> {
        let progress = self.progress.into_inner();
        match progress.failure {
            None => Ok(progress.summary),
            Some(error) => {
                log::step(&self.place, &Event::Failed(&error));
                self.options.observer.on(Event::Failed(&error));
                Err(error)
            }
        }
    }

    /// How a blob, layer or manifest is tried, beside all others.
    pub(super) fn trying(&self) -> Beside<'_> {
        Beside {
            policy: &self.options.retry,
            pulse: &self.pulse,
            beat: Beat::Write,
        }
    }

    /// Tries a question to the store.
    ///
    /// # Errors
    /// The last one, when there is no further try.
    pub(super) async fn ask<T, W>(&self, question: impl FnMut() -> W) -> Result<T>
    where
        W: Future<Output = Result<T>>,
    {
        let retry = &self.options.retry;
        retry.run_with(&self.pulse, Beat::Read, question).await
    }

    pub(super) fn tell(&self, event: Event<'_>) {
        log::step(&self.place, &event);
        self.options.observer.on(event);
    }

    /// What the store has of a blob; absent too where moving it answers that as well.
    ///
    /// # Errors
    /// Where the question could not be asked.
    pub(super) async fn holding(&self, descriptor: &Descriptor) -> Result<Holding> {
        let trusts = self.options.existing == Existing::Trust;
        if trusts && self.store.hints().asks_when_putting(descriptor) {
            return Ok(Holding::Absent);
        }
        let _checking = permit(&self.checks).await?;
        let there = self.store.holding(descriptor).await?;
        self.tell(Event::Checked(descriptor));
        Ok(there)
    }

    /// Keeps a blob that the source does not have, should it be sent again.
    pub(super) fn keep(&self, blob: &Blob) {
        let digest = blob.descriptor().digest.clone();
        self.progress.lock().made_here.insert(digest, blob.clone());
    }

    /// Keeps a manifest that the source does not have, should it be put again.
    pub(super) fn keep_manifest(&self, manifest: &Manifest) {
        let digest = manifest.digest().clone();
        let mut progress = self.progress.lock();
        progress.manifests_made.insert(digest, manifest.clone());
    }

    /// The manifests that this copy made.
    pub(super) fn manifests_made(&self) -> HashMap<Digest, Manifest> {
        self.progress.lock().manifests_made.clone()
    }

    /// The content of a blob below a manifest.
    pub(super) fn content(&self, descriptor: &Descriptor) -> Blob {
        let kept = self
            .progress
            .lock()
            .made_here
            .get(&descriptor.digest)
            .cloned();
        kept.unwrap_or_else(|| unbroken(&self.source.blob(descriptor)))
    }

    /// The repository of a registry that the store is, if it is one.
    pub(super) fn home(&self) -> Option<&Repository> {
        self.home.as_ref()
    }

    /// Whether this copy found the blob here, or got it here.
    pub(super) fn got(&self, digest: &Digest) -> bool {
        self.progress.lock().outcomes.contains_key(digest)
    }

    /// What a layer became here.
    pub(super) fn became(&self, layer: &LayerKey) -> Option<MadeLayer> {
        self.progress.lock().made.get(layer).cloned()
    }

    /// Whether this copy sent the blob.
    pub(super) fn has_sent(&self, digest: &Digest) -> bool {
        self.progress.lock().outcomes.get(digest) == Some(&Outcome::Written)
    }

    /// Takes back that the blob got here: it is sent again.
    pub(super) fn take_back(&self, descriptor: &Descriptor) {
        let mut progress = self.progress.lock();
        if let Some(outcome) = progress.outcomes.remove(&descriptor.digest) {
            progress.summary.uncount(outcome, descriptor.size);
        }
    }
}

/// A place among the tasks that may run at once.
///
/// # Errors
/// Never: the semaphores live as long as the work and are not closed.
pub(super) async fn permit(semaphore: &Semaphore) -> Result<tokio::sync::SemaphorePermit<'_>> {
    let closed = |_| Error::new(ErrorKind::Cancelled, "the work was cancelled");
    semaphore.acquire().await.map_err(closed)
}
