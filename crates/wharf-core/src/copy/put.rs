//! Moves a blob to one destination.

use std::sync::Arc;

use wharf_oci::Descriptor;

use super::retry::{self, Reach};
use super::share::{BlobShare, LayerShare};
use super::target::{Known, Target};
use crate::blob::Blob;
use crate::copy::{Event, Existing, Retry};
use crate::store::{Holding, Outcome};
use crate::sync::Lock;
use crate::{Error, ErrorKind, Result, Side};

impl Target<'_> {
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
        let moving = match self.options.rate {
            // A rate holds for one stream.
            Some(_) => moving.without_parts(),
            None => moving,
        };
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
}

/// What the last try left for this one.
fn take<T>(left: &Lock<Option<T>>) -> Option<T> {
    left.lock().take()
}
