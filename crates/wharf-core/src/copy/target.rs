//! One destination of a copy: what moves there, how often it is tried, and whether it failed.
//!
//! Each destination fails or succeeds on its own; the first final error of one ends all work for
//! that one, and no other.

use std::collections::HashMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use tokio::sync::{Semaphore, watch};
use wharf_oci::{Descriptor, Digest, MediaType, Repository};

use super::intake::{LayerIntake, Observed};
use super::log;
use super::retry::{self, Beside, Reach};
use super::share::{BlobShare, LayerShare};
use crate::blob::Blob;
use crate::copy::{CopyOptions, Event, Existing, Plan, Retry, Subject, Summary};
use crate::intake::Intake;
use crate::layer::{LayerKey, MadeLayer, PendingLayer};
use crate::store::{Beat, Holding, Outcome, Pulse, Source, Store};
use crate::sync::Lock;
use crate::{Error, ErrorKind, Result, Side};

/// A store, and all that is known of the copy into it.
pub(super) struct Target<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) store: &'a dyn Store,
    /// The bound of all destinations for what moves.
    pub(super) transfers: &'a Semaphore,
    /// The repository of a registry that the store is, if it is one.
    home: Option<Repository>,
    /// Its name in the log.
    place: String,
    /// As for all destinations, but with this one's observer.
    pub(super) options: CopyOptions,
    pub(super) checks: Semaphore,
    pulse: Arc<Pulse>,
    progress: Lock<Progress>,
    stopped: watch::Sender<bool>,
    /// How many blobs and layers are not yet there.
    lacking: watch::Sender<usize>,
}

#[derive(Default)]
struct Progress {
    summary: Summary,
    made: HashMap<LayerKey, MadeLayer>,
    failure: Option<Error>,
    /// What was to be moved.
    blobs: Vec<Digest>,
    /// The blobs that are layers of a remembered digest.
    recalled: HashMap<Digest, PendingLayer>,
    /// How each blob got here.
    outcomes: HashMap<Digest, Outcome>,
    /// Blobs that this copy made, and the source does not have.
    made_here: HashMap<Digest, Blob>,
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
        transfers: &'a Semaphore,
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

    /// The content of a blob below a manifest.
    pub(super) fn content(&self, descriptor: &Descriptor) -> Blob {
        let kept = self
            .progress
            .lock()
            .made_here
            .get(&descriptor.digest)
            .cloned();
        kept.unwrap_or_else(|| self.source.blob(descriptor))
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

    /// Moves a blob as [`Target::put`] does. Where it is a layer that was remembered, and is
    /// another when it is made, that one is moved: a wrong memory costs work (wire.md E4).
    ///
    /// # Errors
    /// The last one, when there is no further try.
    pub(super) async fn put_or_make(&self, share: &BlobShare, known: Known) -> Result<()> {
        let Err(error) = self.put(share, known).await else {
            return Ok(());
        };
        let blob = share.blob();
        let wrong = error.kind() == ErrorKind::Corrupt && error.failed_side() == Some(Side::Source);
        let recalled = self
            .progress
            .lock()
            .recalled
            .get(&blob.descriptor().digest)
            .cloned();
        let Some(layer) = recalled.filter(|_| wrong) else {
            return Err(error);
        };
        tracing::debug!(%error, layer = layer.name(), "layer is not what was remembered");
        self.tell(Event::Dropped(blob.descriptor()));
        self.tell(Event::Expected(&layer));
        self.make(LayerShare::alone(&layer)).await
    }

    /// Moves a blob. Content of another length excludes a mount, and is looked at afterwards.
    ///
    /// # Errors
    /// The last one, when there is no further try.
    pub(super) async fn put(&self, share: &BlobShare, known: Known) -> Result<()> {
        let blob = share.blob();
        let descriptor = blob.descriptor();
        let reach = Arc::new(Reach::default());
        let moving = blob.mapped(self.observed(descriptor, &reach));
        let unmounted = moving.clone().without_mount();
        let refuted = matches!(known, Known::Refuted);
        let trusts = !refuted && self.options.existing == Existing::Trust;
        let known = Lock::new(Some(known));
        let attempt = || async {
            reach.start();
            let there = match take(&known) {
                Some(Known::Answered(answer)) => answer,
                _ if refuted => Ok(Holding::Absent),
                _ => self.holding(descriptor).await,
            };
            let started = || self.tell(Event::Started(descriptor.into()));
            let outcome = match there {
                Ok(Holding::Whole) => Ok(Outcome::Existed),
                Ok(Holding::Absent) if trusts => {
                    started();
                    self.store.put_blob(&moving).await
                }
                Ok(Holding::Absent | Holding::Other(_)) => {
                    started();
                    self.put_and_look(&unmounted).await
                }
                Err(error) => Err(error),
            };
            share.leave();
            outcome
        };
        let notice = |again: &Retry<'_>| self.tell(Event::Retried(descriptor.into(), again));
        let outcome = retry::run(self.trying(), attempt, &reach, notice).await;
        let outcome = outcome.map_err(|error| error.side(Side::Destination))?;
        if let (Outcome::Mounted, Some(from)) = (outcome, blob.origin()) {
            self.tell(Event::Mounted(descriptor, from));
        }
        self.there(descriptor, outcome);
        Ok(())
    }

    /// Puts a blob, and looks at the length of what the store has then.
    async fn put_and_look(&self, blob: &Blob) -> Result<Outcome> {
        let descriptor = blob.descriptor();
        let outcome = self.store.put_blob(blob).await?;
        let look = || self.store.holding(descriptor);
        if let Holding::Other(_) = self.ask(look).await? {
            // Some registries show a blob a moment after they took it.
            tokio::time::sleep(self.options.retry.base).await;
            if let Holding::Other(bytes) = self.ask(look).await? {
                return Err(self.keeps(descriptor, bytes));
            }
        }
        Ok(outcome)
    }

    /// The error of a store that keeps content of another length.
    fn keeps(&self, descriptor: &Descriptor, bytes: u64) -> Error {
        let Descriptor { digest, size, .. } = descriptor;
        let message = format!(
            "the registry keeps {bytes} bytes of blob {digest} of {size} and takes no others"
        );
        let error = Error::new(ErrorKind::Rejected, message);
        match self.store.place() {
            Some(place) => error.target(place),
            None => error,
        }
    }

    /// A blob is in the store.
    pub(super) fn there(&self, descriptor: &Descriptor, outcome: Outcome) {
        self.tell(Event::Finished(descriptor.into(), descriptor, outcome));
        let mut progress = self.progress.lock();
        progress.summary.count(outcome, descriptor.size);
        progress.outcomes.insert(descriptor.digest.clone(), outcome);
    }

    /// Makes a layer and moves it.
    ///
    /// # Errors
    /// The last one, when there is no further try.
    pub(super) async fn make(&self, share: LayerShare) -> Result<()> {
        let layer = &share.layer().clone();
        let reach = Arc::new(Reach::default());
        let (observer, of) = (Arc::clone(&self.options.observer), layer.clone());
        let told = Arc::new(move |bytes| observer.on(Event::Read(&of, bytes)));
        let intake = LayerIntake::new(share, self.observed(layer, &reach), told);
        let intake = Arc::new(intake);
        // Should it have to be given up.
        self.progress.lock().blobs.push(intake.name());
        let attempt = || async {
            reach.start();
            self.tell(Event::Started(layer.into()));
            let bytes: Arc<dyn Intake> = Arc::clone(&intake) as _;
            let ingested = self.store.ingest(layer.media_type(), bytes).await;
            intake.rest();
            match ingested {
                Ok(descriptor) => intake.became(descriptor).await,
                Err(error) => Err(intake.judged(error)),
            }
        };
        let notice = |again: &Retry<'_>| self.tell(Event::Retried(layer.into(), again));
        let made = retry::run(self.trying(), attempt, &reach, notice).await;
        let made = made.map_err(|error| match error.failed_side() {
            // What the source said names it already.
            Some(Side::Source) => error,
            _ => error.target(layer.name()).side(Side::Destination),
        })?;
        layer.tell(&made.descriptor);
        self.is_made(layer, made, Outcome::Written);
        Ok(())
    }

    /// Mounts a layer that another destination of this registry has, or sends the same bytes.
    /// Makes the layer anew where they are others this time.
    ///
    /// # Errors
    /// The last one, when there is no further try.
    pub(super) async fn adopt(
        &self,
        layer: &PendingLayer,
        made: &MadeLayer,
        share: &BlobShare,
    ) -> Result<()> {
        let reach = Arc::new(Reach::default());
        let moving = share.blob().mapped(self.observed(layer, &reach));
        // Should it have to be given up.
        let digest = made.descriptor.digest.clone();
        self.progress.lock().blobs.push(digest);
        let attempt = || async {
            reach.start();
            self.tell(Event::Started(layer.into()));
            let outcome = self.store.put_blob(&moving).await;
            share.leave();
            outcome
        };
        let notice = |again: &Retry<'_>| self.tell(Event::Retried(layer.into(), again));
        let outcome = match retry::run(self.trying(), attempt, &reach, notice).await {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                tracing::debug!(%error, layer = layer.name(), "layer is not what it was");
                return self.make(LayerShare::alone(layer)).await;
            }
            outcome => outcome.map_err(|error| error.side(Side::Destination))?,
        };
        if let (Outcome::Mounted, Some(from)) = (outcome, moving.origin()) {
            self.tell(Event::Mounted(&made.descriptor, from));
        }
        self.is_made(layer, made.clone(), outcome);
        Ok(())
    }

    /// A layer is in the store.
    fn is_made(&self, layer: &PendingLayer, made: MadeLayer, outcome: Outcome) {
        let descriptor = &made.descriptor;
        self.tell(Event::Joined(descriptor));
        self.tell(Event::Finished(layer.into(), descriptor, outcome));
        self.keep(&layer.again(descriptor));
        let mut progress = self.progress.lock();
        progress.summary.count(outcome, descriptor.size);
        progress.outcomes.insert(descriptor.digest.clone(), outcome);
        progress.made.insert(layer.key().clone(), made);
    }

    /// Tells the observer how far the bytes of `subject` were read, in a stream from an offset on.
    fn observed<S>(&self, subject: &S, reach: &Arc<Reach>) -> Observed
    where
        S: Clone + Send + Sync + 'static,
        for<'s> &'s S: Into<Subject<'s>>,
    {
        let (observer, reach) = (Arc::clone(&self.options.observer), Arc::clone(reach));
        let subject = Arc::new(subject.clone());
        let place = self.place.clone();
        Box::new(move |offset, stream| {
            let (observer, reach) = (Arc::clone(&observer), Arc::clone(&reach));
            let subject = Arc::clone(&subject);
            if offset > 0 {
                reach.acknowledge(offset);
                let resumed = Event::Resumed((&*subject).into(), offset);
                log::step(&place, &resumed);
                observer.on(resumed);
            }
            let mut position = offset;
            stream
                .map_err(|error| error.side(Side::Source))
                .inspect_ok(move |chunk| {
                    position += chunk.len() as u64;
                    reach.advance(position);
                    observer.on(Event::Advanced((&*subject).into(), position));
                })
                .boxed()
        })
    }
}

/// What the last try left for this one.
fn take<T>(left: &Lock<Option<T>>) -> Option<T> {
    left.lock().take()
}

/// A place among the tasks that may run at once.
///
/// # Errors
/// Never: the semaphores live as long as the work and are not closed.
pub(super) async fn permit(semaphore: &Semaphore) -> Result<tokio::sync::SemaphorePermit<'_>> {
    let closed = |_| Error::new(ErrorKind::Cancelled, "the work was cancelled");
    semaphore.acquire().await.map_err(closed)
}
