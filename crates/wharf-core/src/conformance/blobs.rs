//! Blobs are whole or not there, and read back from any offset.

use bytes::Bytes;
use futures::{FutureExt, TryStreamExt, future};
use wharf_oci::{Algorithm, Descriptor, Digest, Selector};

use super::clause::{Kept, Trial, ensure, fails, offered, tagged};
use super::content::{blob_of, chunks, described, described_by, half, noise};
use crate::ErrorKind;
use crate::blob::Blob;
use crate::store::Outcome;

/// An empty store has nothing, and says so with errors of kind `NotFound`.
pub(super) async fn are_missing_before_they_are_put(trial: &Trial<'_>) -> Kept {
    let (store, missing) = (&trial.store, described(b"missing"));
    trial.lacks(&missing).await?;
    let read = trial.read(&missing).await;
    fails("reading a missing blob", ErrorKind::NotFound, read)?;
    let digest = Selector::Digest(missing.digest.clone());
    for at in [tagged("missing")?, digest] {
        let resolved = store.resolve(&at).await;
        fails(&format!("resolving {at}"), ErrorKind::NotFound, resolved)?;
    }
    let manifest = Descriptor {
        media_type: wharf_oci::MediaType::OCI_IMAGE_MANIFEST,
        ..missing
    };
    let contained = store.contains(&manifest).await?;
    ensure!(!contained, "contains says yes to a missing manifest");
    let read = store.manifest(&manifest).await;
    fails("a missing manifest", ErrorKind::NotFound, read)
}

/// What was put is there, and read byte for byte.
pub(super) async fn are_read_as_they_were_put(trial: &Trial<'_>) -> Kept {
    for (seed, length) in [(1, 1), (2, 300_000)] {
        let bytes = noise(seed, length);
        let put = trial.store.put_blob(&blob_of(&bytes)).await?;
        ensure!(put == Outcome::Written, "a new blob is {put:?}");
        trial.has(&described(&bytes), &bytes).await?;
    }
    Ok(())
}

/// A blob can be opened at any offset below its size, any number of times.
pub(super) async fn are_read_from_any_offset(trial: &Trial<'_>) -> Kept {
    let bytes = noise(3, 200_000);
    trial.store.put_blob(&blob_of(&bytes)).await?;
    let blob = trial.store.blob(&described(&bytes));
    for offset in [199_999, 1, 100_000, 0, 1] {
        let rest: Vec<Bytes> = blob.open(offset as u64).await?.try_collect().await?;
        let expected = bytes.slice(offset..);
        ensure!(rest.concat() == expected, "other bytes from {offset} on");
    }
    Ok(())
}

/// `contains` compares sizes.
pub(super) async fn are_not_confused_with_others_of_another_size(trial: &Trial<'_>) -> Kept {
    let bytes = noise(4, 1000);
    trial.store.put_blob(&blob_of(&bytes)).await?;
    for size in [0, 999, 1001] {
        let other = Descriptor {
            size,
            ..described(&bytes)
        };
        let contained = trial.store.contains(&other).await?;
        ensure!(!contained, "contains says yes to 1000 bytes as {size}");
    }
    Ok(())
}

/// Bytes of another digest, or of another number, are refused and not kept.
pub(super) async fn of_wrong_bytes_are_refused(trial: &Trial<'_>) -> Kept {
    let bytes = noise(5, 100_000);
    let longer = [&bytes[..], b"x"].concat();
    let wrong = [
        ("of another digest", noise(6, 100_000)),
        ("too short", bytes.slice(1..)),
        ("too long", longer.into()),
    ];
    for (what, wrong) in wrong {
        let blob = Blob::from_bytes(described(&bytes), wrong);
        let put = trial.store.put_blob(&blob).await;
        fails(
            &format!("a blob with bytes {what}"),
            ErrorKind::Corrupt,
            put,
        )?;
        trial.lacks(&described(&bytes)).await?;
    }
    Ok(())
}

/// A put from a source that fails leaves nothing, and the next put succeeds.
pub(super) async fn of_a_broken_source_are_not_kept(trial: &Trial<'_>) -> Kept {
    let bytes = noise(7, 200_000);
    let broken = {
        let bytes = bytes.clone();
        Blob::new(described(&bytes), move |_| {
            let half = half(&bytes);
            async move { Ok(half) }.boxed()
        })
    };
    let put = trial.store.put_blob(&broken).await;
    fails("a blob of a broken source", ErrorKind::Interrupted, put)?;
    trial.lacks(&described(&bytes)).await?;
    trial.store.put_blob(&blob_of(&bytes)).await?;
    trial.has(&described(&bytes), &bytes).await
}

/// Putting a blob again changes nothing.
pub(super) async fn may_be_put_again(trial: &Trial<'_>) -> Kept {
    let bytes = noise(8, 5000);
    for _ in 0..3 {
        trial.store.put_blob(&blob_of(&bytes)).await?;
        trial.has(&described(&bytes), &bytes).await?;
    }
    Ok(())
}

/// A blob of no bytes is a blob.
pub(super) async fn may_be_empty(trial: &Trial<'_>) -> Kept {
    let empty = Bytes::new();
    trial.store.put_blob(&blob_of(&empty)).await?;
    trial.has(&described(&empty), &empty).await
}

/// A blob may be named by its sha512.
pub(super) async fn may_be_named_by_sha512(trial: &Trial<'_>) -> Kept {
    let bytes = noise(9, 5000);
    let descriptor = described_by(Algorithm::Sha512, &bytes);
    let blob = Blob::from_bytes(descriptor.clone(), bytes.clone());
    trial.store.put_blob(&blob).await?;
    trial.has(&descriptor, &bytes).await?;
    let wrong = described_by(Algorithm::Sha512, b"other");
    let wrong = Blob::from_bytes(wrong, Bytes::from_static(b"wrong"));
    let put = trial.store.put_blob(&wrong).await;
    fails("a blob of another sha512", ErrorKind::Corrupt, put)
}

/// Where sizes are known by digest, they are right.
pub(super) async fn tell_their_sizes(trial: &Trial<'_>) -> Kept {
    let bytes = noise(10, 1234);
    trial.store.put_blob(&blob_of(&bytes)).await?;
    let size = offered(trial.store.blob_size(&Digest::of(&bytes)).await)?;
    ensure!(size == 1234, "a blob of 1234 bytes has {size}");
    let missing = trial.store.blob_size(&Digest::of(b"missing")).await;
    let what = "the size of a missing blob";
    fails(what, ErrorKind::NotFound, missing)?;
    trial.store.precheck(&described(&bytes)).await?;
    Ok(())
}

/// Eight puts of one blob at once all succeed.
pub(super) async fn may_be_put_at_once(trial: &Trial<'_>) -> Kept {
    let bytes = noise(11, 300_000);
    let blob = {
        let bytes = bytes.clone();
        Blob::new(described(&bytes), move |offset| {
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let rest = chunks(&bytes.slice(start.min(bytes.len())..));
            async move { Ok(rest) }.boxed()
        })
    };
    let puts = (0..8).map(|_| trial.store.put_blob(&blob));
    for put in future::join_all(puts).await {
        put?;
    }
    trial.has(&described(&bytes), &bytes).await
}
