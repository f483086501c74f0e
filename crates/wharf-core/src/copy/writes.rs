//! Single writes outside a copy, tried as often as a policy allows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::{StreamExt, TryStreamExt};
use wharf_oci::{Descriptor, Digest, MediaType, Selector};

use super::retry::{self, Beside, Reach, RetryPolicy};
use crate::blob::Blob;
use crate::intake::Intake;
use crate::store::{Beat, Holding, Outcome, Pulse, Store};
use crate::{ErrorKind, Result};

impl RetryPolicy {
    /// Puts a blob into a store. The first try does not ask if it is there; each further try does,
    /// and continues what the one before began. What is begun is cancelled if the last try fails,
    /// and if the future is dropped.
    ///
    /// # Errors
    /// The last one, with the number of tries.
    pub async fn put_blob(&self, store: &dyn Store, blob: &Blob) -> Result<Outcome> {
        let store = store.raw_store().unwrap_or(store);
        let descriptor = blob.descriptor();
        let reach = Arc::new(Reach::default());
        let moving = counted(&blob.single_tries(), &reach);
        let begun = Begun::new(store, &descriptor.digest);
        let tried = AtomicBool::new(false);
        let attempt = || async {
            reach.start();
            // An earlier try put it, and its answer was lost.
            if tried.swap(true, Ordering::Relaxed)
                && store.holding(descriptor).await? == Holding::Whole
            {
                return Ok(Outcome::Existed);
            }
            store.put_blob(&moving).await
        };
        let put = self.write(store, attempt, &reach).await?;
        begun.end();
        Ok(put)
    }

    /// Puts content of unknown digest into a store. Content without a key ([`Intake::key`]) is
    /// tried once.
    ///
    /// # Errors
    /// As [`RetryPolicy::put_blob`].
    pub async fn ingest(
        &self,
        store: &dyn Store,
        media_type: &MediaType,
        intake: Arc<dyn Intake>,
    ) -> Result<Descriptor> {
        let store = store.raw_store().unwrap_or(store);
        let Some(key) = intake.key() else {
            return store.ingest(media_type, intake).await;
        };
        let begun = Begun::new(store, key);
        let attempt = || store.ingest(media_type, Arc::clone(&intake));
        let ingested = self.write(store, attempt, &Reach::default()).await?;
        begun.end();
        Ok(ingested)
    }

    /// Deletes a tag or manifest of a store. What a further try does not find, an earlier one
    /// deleted.
    ///
    /// # Errors
    /// The last one, with the number of tries.
    pub async fn delete(&self, store: &dyn Store, at: &Selector) -> Result<()> {
        let store = store.raw_store().unwrap_or(store);
        let tried = AtomicBool::new(false);
        let delete = || {
            let again = tried.swap(true, Ordering::Relaxed);
            let deleting = store.delete(at);
            async move {
                match deleting.await {
                    // The answer to the earlier try was lost.
                    Err(error) if again && error.kind() == ErrorKind::NotFound => Ok(()),
                    outcome => outcome,
                }
            }
        };
        self.run(delete).await
    }

    async fn write<T, W>(
        &self,
        store: &dyn Store,
        work: impl FnMut() -> W,
        reach: &Reach,
    ) -> Result<T>
    where
        W: Future<Output = Result<T>>,
    {
        let pulse: Arc<Pulse> = store.pulse().unwrap_or_default();
        let beside = Beside {
            policy: self,
            pulse: &pulse,
            beat: Beat::Write,
        };
        retry::run(beside, work, reach, |_| ()).await
    }
}

/// The same blob; `reach` gets the positions that its streams come to.
fn counted(blob: &Blob, reach: &Arc<Reach>) -> Blob {
    let reach = Arc::clone(reach);
    blob.mapped(move |offset, stream| {
        let reach = Arc::clone(&reach);
        if offset > 0 {
            reach.acknowledge(offset);
        }
        let mut position = offset;
        stream
            .inspect_ok(move |chunk| {
                position += chunk.len() as u64;
                reach.advance(position);
            })
            .boxed()
    })
}

/// Tells a store when an upload fails, or is dropped before its end.
struct Begun<'a> {
    store: &'a dyn Store,
    digest: Digest,
    over: bool,
}

impl<'a> Begun<'a> {
    fn new(store: &'a dyn Store, digest: &Digest) -> Self {
        Begun {
            store,
            digest: digest.clone(),
            over: false,
        }
    }

    fn end(mut self) {
        self.over = true;
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.store
                .hints()
                .give_up(std::slice::from_ref(&self.digest));
        }
    }
}
