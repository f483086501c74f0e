//! Manifests are found by their subject, if the store lists referrers.

use std::collections::BTreeSet;

use wharf_oci::{Digest, MediaType};

use super::clause::{Kept, Trial, ensure, offered};
use super::content::{image, json};

/// A subject lists the manifests that refer to it, each with artifact type and annotations.
pub(super) async fn is_listed_with_the_subject(trial: &Trial<'_>) -> Kept {
    let store = &trial.store;
    let subject = image(&**store, 70, "").await?;
    trial.put(&subject, &["v1"]).await?;
    let refers = format!(
        r#", "subject":{}, "artifactType":"application/x-signature", "annotations":{{"by":"a test"}}"#,
        json(subject.descriptor())?
    );
    let mut expected = BTreeSet::new();
    for seed in [71, 72] {
        let referrer = image(&**store, seed, &refers).await?;
        trial.put(&referrer, &[]).await?;
        expected.insert(referrer.digest().clone());
    }
    let other = image(&**store, 73, "").await?;
    trial.put(&other, &["other"]).await?;
    let found = offered(store.referrers(subject.digest()).await)?;
    let digests: BTreeSet<Digest> = found.iter().map(|one| one.digest.clone()).collect();
    ensure!(digests == expected, "{digests:?}, expected {expected:?}");
    for referrer in found {
        let typed = referrer.media_type == MediaType::OCI_IMAGE_MANIFEST;
        ensure!(typed && referrer.size > 0, "listed as {referrer:?}");
        let artifact = referrer.artifact_type.as_ref().map(MediaType::as_str);
        let signed = artifact == Some("application/x-signature");
        ensure!(signed, "artifact type {artifact:?} of {referrer:?}");
        let noted = referrer.annotations.get("by").map(String::as_str);
        ensure!(noted == Some("a test"), "annotations of {referrer:?}");
    }
    Ok(())
}

/// A manifest without referrers, and an absent manifest, have none.
pub(super) async fn is_empty_for_others(trial: &Trial<'_>) -> Kept {
    let manifest = image(&*trial.store, 74, "").await?;
    trial.put(&manifest, &["v1"]).await?;
    for digest in [manifest.digest(), &Digest::of(b"missing")] {
        let found = offered(trial.store.referrers(digest).await)?;
        ensure!(found.is_empty(), "{digest} is referred to by {found:?}");
    }
    Ok(())
}
