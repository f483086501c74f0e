//! A pending layer on its way to one destination: made anew for each try, or, where its bytes come
//! once, gone on with from what is kept of them.

use async_trait::async_trait;
use tokio::sync::OnceCell;
use wharf_oci::Digest;

use super::making::Making;
use super::tee::Seat;
use crate::blob::ByteStream;
use crate::draft::PendingLayer;
use crate::intake::{Intake, Learning, OneShot, new_key, skipped};
use crate::layer::Diff;
use crate::sync::Lock;
use crate::{Error, ErrorKind, Result, Side};

/// What is done with a layer's bytes from an offset on.
pub(super) type Observed = Box<dyn Fn(u64, ByteStream) -> ByteStream + Send + Sync>;

/// A layer, as a store takes it in.
pub(super) struct LayerIntake<'a> {
    layer: &'a PendingLayer,
    seat: &'a Seat,
    making: &'a Making,
    observed: Observed,
    key: Digest,
    learning: Learning,
    /// The bytes, where they come once and some were wanted.
    once: OnceCell<OneShot>,
    /// What is learned beside the digest in the making that began last; of one for all, elsewhere.
    diff: Lock<Option<Diff>>,
    /// Why the last try failed.
    failure: Lock<Option<String>>,
}

impl<'a> LayerIntake<'a> {
    pub(super) fn new(
        layer: &'a PendingLayer,
        seat: &'a Seat,
        making: &'a Making,
        observed: Observed,
    ) -> Self {
        LayerIntake {
            layer,
            seat,
            making,
            observed,
            key: new_key(),
            learning: Learning::default(),
            once: OnceCell::new(),
            diff: Lock::default(),
            failure: Lock::default(),
        }
    }

    /// Between two tries: what is made for all is not waited for, unless it comes once.
    pub(super) fn rest(&self) {
        if !self.layer.comes_once() {
            self.seat.leave();
        }
    }

    /// What was learned beside the digest, where that was not learned for all.
    pub(super) fn diff(&self) -> Option<Diff> {
        self.diff.lock().take()
    }

    /// The error of a try; that bytes are gone is said with why they were wanted again.
    pub(super) fn judged(&self, error: Error) -> Error {
        let earlier = self.failure.lock().replace(error.to_string());
        let gone = error.kind() == ErrorKind::Interrupted && !error.is_transient();
        match earlier.filter(|_| gone) {
            Some(earlier) => error.source(earlier),
            None => error,
        }
    }

    async fn start(&self) -> Result<ByteStream> {
        let started = self.making.stream(self.layer, self.seat).await;
        let (stream, diff) = started.map_err(|error| error.side(Side::Source))?;
        *self.diff.lock() = diff;
        Ok(stream)
    }
}

#[async_trait]
impl Intake for LayerIntake<'_> {
    fn key(&self) -> &Digest {
        &self.key
    }

    fn identity(&self) -> Option<&Digest> {
        self.layer.identity()
    }

    async fn open(&self, offset: u64) -> Result<ByteStream> {
        let stream = match self.layer.comes_once() {
            true => {
                let start = || async { Ok::<_, Error>(OneShot::new(self.start().await?)) };
                self.once.get_or_try_init(start).await?.open(offset).await?
            }
            false => skipped(self.learning.reading(self.start().await?), offset),
        };
        Ok((self.observed)(offset, stream))
    }

    fn learned(&self) -> Result<(Digest, u64)> {
        match self.once.get() {
            Some(once) => once.learned(),
            None => self.learning.learned(),
        }
    }
}
