//! Tags and manifests are deleted, if the store supports that.

use wharf_oci::{Digest, Selector};

use super::clause::{Kept, Trial, ensure, fails, offered, offers, tagged};
use super::content::image;
use crate::ErrorKind;

/// A deleted tag is gone; its manifest and the other tags stay.
pub(super) async fn of_a_tag_leaves_the_rest(trial: &Trial<'_>) -> Kept {
    let store = &trial.store;
    let manifest = image(&**store, 60, "").await?;
    trial.put(&manifest, &["goes", "stays"]).await?;
    offered(store.delete(&tagged("goes")?).await)?;
    let resolved = store.resolve(&tagged("goes")?).await;
    fails("a deleted tag", ErrorKind::NotFound, resolved)?;
    trial.names(&["stays"], &manifest).await?;
    let read = store.manifest(manifest.descriptor()).await?;
    ensure!(read.bytes() == manifest.bytes(), "other bytes");
    Ok(())
}

/// A deleted manifest takes all of its tags with it, and no others.
pub(super) async fn of_a_manifest_takes_its_tags(trial: &Trial<'_>) -> Kept {
    let store = &trial.store;
    let gone = image(&**store, 61, "").await?;
    let stays = image(&**store, 62, "").await?;
    trial.put(&gone, &["a", "b"]).await?;
    trial.put(&stays, &["c"]).await?;
    let digest = Selector::Digest(gone.digest().clone());
    offered(store.delete(&digest).await)?;
    for name in ["a", "b"] {
        let resolved = store.resolve(&tagged(name)?).await;
        fails(&format!("tag {name}"), ErrorKind::NotFound, resolved)?;
    }
    trial.names(&["c"], &stays).await
}

/// What is not there cannot be deleted.
pub(super) async fn of_nothing_says_so(trial: &Trial<'_>) -> Kept {
    let manifest = image(&*trial.store, 63, "").await?;
    trial.put(&manifest, &["stays"]).await?;
    let missing = Selector::Digest(Digest::of(b"missing"));
    for at in [tagged("missing")?, missing] {
        let deleted = trial.store.delete(&at).await;
        offers(&deleted)?;
        fails(&format!("deleting {at}"), ErrorKind::NotFound, deleted)?;
    }
    trial.names(&["stays"], &manifest).await
}
