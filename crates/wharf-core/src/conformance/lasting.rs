//! Flushed content outlasts the process, if the store is durable.

use std::sync::Arc;

use super::clause::{Kept, Trial, ensure};
use super::content::{blob_of, described, image, noise};
use super::found::Stop;

/// Blobs, manifests and tags are there when the store is opened again.
pub(super) async fn is_there_after_reopening(trial: &Trial<'_>) -> Kept {
    let bytes = noise(80, 100_000);
    trial.store.put_blob(&blob_of(&bytes)).await?;
    let manifest = image(&*trial.store, 81, "").await?;
    trial.put(&manifest, &["v1", "v2"]).await?;
    trial.store.flush().await?;
    let reopened = trial.stores.reopened(Arc::clone(&trial.store)).await;
    let reopened = Trial {
        stores: trial.stores,
        store: reopened.ok_or(Stop::Unsupported)?,
    };
    reopened.has(&described(&bytes), &bytes).await?;
    reopened.names(&["v1", "v2"], &manifest).await?;
    let read = reopened.store.manifest(manifest.descriptor()).await?;
    ensure!(read.bytes() == manifest.bytes(), "other bytes");
    Ok(())
}
