//! Manifests keep their bytes and have the names they were given.

use futures::future;
use wharf_oci::Selector;

use super::clause::{Kept, Trial, ensure, tagged};
use super::content::image;
use crate::ErrorKind;
use crate::store::Names;

/// A manifest is given back byte for byte, with fields that no version knows.
pub(super) async fn keep_their_bytes(trial: &Trial<'_>) -> Kept {
    let store = &trial.store;
    let manifest = image(&**store, 30, r#", "future":{ "b":1,"a":2 }"#).await?;
    trial.put(&manifest, &["v1"]).await?;
    let digest = Selector::Digest(manifest.digest().clone());
    for at in [digest, tagged("v1")?] {
        let found = store.resolve(&at).await?;
        let is = (&found.digest, found.size, &found.media_type);
        let expected = (manifest.digest(), manifest.size(), manifest.media_type());
        ensure!(is == expected, "{at} is {is:?}, expected {expected:?}");
        let read = store.manifest(&found).await?;
        ensure!(read.bytes() == manifest.bytes(), "{at} has other bytes");
        ensure!(read.media_type() == manifest.media_type(), "another type");
    }
    let contained = store.contains(manifest.descriptor()).await?;
    ensure!(contained, "contains says no to a manifest");
    Ok(())
}

/// A child has its digest alone.
pub(super) async fn have_no_tag_as_children(trial: &Trial<'_>) -> Kept {
    let store = &trial.store;
    let manifest = image(&**store, 31, "").await?;
    store.put_manifest(&manifest, Names::Child).await?;
    let digest = Selector::Digest(manifest.digest().clone());
    let found = store.resolve(&digest).await?;
    ensure!(found.digest == *manifest.digest(), "resolved to {found:?}");
    let tags = match store.tags(None, 10).await {
        Err(error) if is_silent(error.kind()) => Vec::new(),
        tags => tags?,
    };
    ensure!(tags.is_empty(), "a child is tagged {tags:?}");
    Ok(())
}

fn is_silent(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::Unsupported)
}

/// A root needs no tag.
pub(super) async fn may_be_roots_without_tags(trial: &Trial<'_>) -> Kept {
    let manifest = image(&*trial.store, 32, "").await?;
    trial.put(&manifest, &[]).await?;
    let digest = Selector::Digest(manifest.digest().clone());
    let found = trial.store.resolve(&digest).await?;
    let read = trial.store.manifest(&found).await?;
    ensure!(read.bytes() == manifest.bytes(), "other bytes");
    Ok(())
}

/// A root has all of its tags, and gets further ones later.
pub(super) async fn have_all_of_their_tags(trial: &Trial<'_>) -> Kept {
    let manifest = image(&*trial.store, 33, "").await?;
    trial.put(&manifest, &["a", "b", "c"]).await?;
    trial.names(&["a", "b", "c"], &manifest).await?;
    trial.put(&manifest, &["d"]).await?;
    trial.names(&["a", "b", "c", "d"], &manifest).await
}

/// A tag that is put again names the new manifest; the old one stays.
pub(super) async fn give_their_tags_to_others(trial: &Trial<'_>) -> Kept {
    let old = image(&*trial.store, 34, "").await?;
    let new = image(&*trial.store, 35, "").await?;
    trial.put(&old, &["moves", "stays"]).await?;
    trial.put(&new, &["moves"]).await?;
    trial.names(&["moves"], &new).await?;
    trial.names(&["stays"], &old).await?;
    let read = trial.store.manifest(old.descriptor()).await?;
    ensure!(read.bytes() == old.bytes(), "the old one has other bytes");
    Ok(())
}

/// Putting a manifest again changes nothing.
pub(super) async fn may_be_put_again(trial: &Trial<'_>) -> Kept {
    let manifest = image(&*trial.store, 36, "").await?;
    for _ in 0..3 {
        trial.put(&manifest, &["v1"]).await?;
        trial.names(&["v1"], &manifest).await?;
    }
    let read = trial.store.manifest(manifest.descriptor()).await?;
    ensure!(read.bytes() == manifest.bytes(), "other bytes");
    Ok(())
}

/// Manifests that are put at once lose none of their tags.
pub(super) async fn may_be_put_at_once(trial: &Trial<'_>) -> Kept {
    let names = ["a", "b", "c", "d", "e", "f"];
    let mut images = Vec::new();
    for seed in 40..46 {
        images.push(image(&*trial.store, seed, "").await?);
    }
    let each = || images.iter().zip(names.iter().map(std::slice::from_ref));
    let puts = each().map(|(manifest, name)| trial.put(manifest, name));
    future::join_all(puts).await.into_iter().collect::<Kept>()?;
    for (manifest, name) in each() {
        trial.names(name, manifest).await?;
    }
    Ok(())
}
