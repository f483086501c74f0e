//! Makes a layer, or takes one that another destination got, and moves it to one destination.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};

use super::intake::{LayerIntake, Observed};
use super::log;
use super::retry::{self, Reach};
use super::share::{BlobShare, LayerShare};
use super::target::Target;
use crate::copy::{Event, Retry, Subject};
use crate::intake::Intake;
use crate::layer::{MadeLayer, PendingLayer};
use crate::store::Outcome;
use crate::{ErrorKind, Result, Side};

impl Target<'_> {
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

    /// Paces the bytes of `subject` in a stream from an offset on, and tells the observer how far they
    /// were read.
    pub(super) fn observed<S>(&self, subject: &S, reach: &Arc<Reach>) -> Observed
    where
        S: Clone + Send + Sync + 'static,
        for<'s> &'s S: Into<Subject<'s>>,
    {
        let (observer, reach) = (Arc::clone(&self.options.observer), Arc::clone(reach));
        let subject = Arc::new(subject.clone());
        let (place, rate) = (self.place.clone(), self.options.rate.clone());
        Box::new(move |offset, stream| {
            let (observer, reach) = (Arc::clone(&observer), Arc::clone(&reach));
            let subject = Arc::clone(&subject);
            if offset > 0 {
                reach.acknowledge(offset);
                let resumed = Event::Resumed((&*subject).into(), offset);
                log::step(&place, &resumed);
                observer.on(resumed);
            }
            let stream = match &rate {
                Some(rate) => rate.pace(stream),
                None => stream,
            };
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
