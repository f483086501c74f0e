//! Content of unknown digest is learned, or not kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use wharf_oci::{Descriptor, Digest, MediaType};

use super::clause::{Kept, Trial, ensure, fails};
use super::content::{chunks, described, half, noise};
use crate::blob::ByteStream;
use crate::intake::{self, Intake};
use crate::{Error, ErrorKind, Result};

/// Digest and size are those of all bytes, the media type is the requested one.
pub(super) async fn learns_what_it_takes(trial: &Trial<'_>) -> Kept {
    for length in [0, 1, 300_000] {
        let bytes = noise(20, length);
        let intake = intake::once(chunks(&bytes));
        let media_type = MediaType::OCI_LAYER_GZIP;
        let learned = trial.store.ingest(&media_type, intake).await?;
        let expected = Descriptor {
            media_type,
            ..described(&bytes)
        };
        ensure!(learned == expected, "{learned:?}, expected {expected:?}");
        trial.has(&learned, &bytes).await?;
    }
    Ok(())
}

/// A stream that breaks leaves nothing of itself.
pub(super) async fn leaves_nothing_of_a_broken_stream(trial: &Trial<'_>) -> Kept {
    let bytes = noise(21, 200_000);
    let intake = intake::once(half(&bytes));
    let ingested = trial.store.ingest(&MediaType::OCI_LAYER, intake).await;
    let what = "taking in a stream that breaks";
    fails(what, ErrorKind::Interrupted, ingested)?;
    let came = bytes.slice(..bytes.len() / 2);
    for left in [&bytes, &came, &Bytes::new()] {
        trial.lacks(&described(left)).await?;
    }
    Ok(())
}

/// A second try with the same intake succeeds, from any offset.
pub(super) async fn goes_on_with_a_second_try(trial: &Trial<'_>) -> Kept {
    let bytes = noise(22, 400_000);
    let intake = Arc::new(BreaksOnce::new(bytes.clone()));
    let ingest = || {
        let intake: Arc<dyn Intake> = Arc::clone(&intake) as _;
        trial.store.ingest(&MediaType::OCI_LAYER, intake)
    };
    let what = "the first try, which breaks,";
    fails(what, ErrorKind::Interrupted, ingest().await)?;
    let learned = ingest().await?;
    let expected = described(&bytes);
    ensure!(learned == expected, "{learned:?}, expected {expected:?}");
    trial
        .store
        .hints()
        .give_up(std::slice::from_ref(&intake.key));
    trial.has(&expected, &bytes).await
}

/// An intake that breaks in the middle of its first stream.
struct BreaksOnce {
    bytes: Bytes,
    key: Digest,
    opened: AtomicU32,
    ended: Arc<AtomicBool>,
}

impl BreaksOnce {
    fn new(bytes: Bytes) -> Self {
        BreaksOnce {
            key: Digest::of(b"content that breaks once"),
            bytes,
            opened: AtomicU32::new(0),
            ended: Arc::default(),
        }
    }
}

#[async_trait]
impl Intake for BreaksOnce {
    fn key(&self) -> Option<&Digest> {
        Some(&self.key)
    }

    fn identity(&self) -> Option<&Digest> {
        None
    }

    async fn open(&self, offset: u64) -> Result<ByteStream> {
        if self.opened.fetch_add(1, Ordering::Relaxed) == 0 {
            return Ok(half(&self.bytes));
        }
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = self.bytes.slice(start.min(self.bytes.len())..);
        let ended = Arc::clone(&self.ended);
        let end = stream::once(async move {
            ended.store(true, Ordering::Relaxed);
            Ok(Bytes::new())
        });
        Ok(chunks(&rest).chain(end).boxed())
    }

    fn learned(&self) -> Result<(Digest, u64)> {
        match self.ended.load(Ordering::Relaxed) {
            true => Ok((Digest::of(&self.bytes), self.bytes.len() as u64)),
            false => Err(Error::new(ErrorKind::Rejected, "not read to its end")),
        }
    }
}
