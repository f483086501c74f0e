//! A pending layer on its way to one destination: made again for each try, or, where its bytes come
//! once, continued from what is kept of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use wharf_oci::{Descriptor, Digest};

use super::share::{Begun, LayerShare};
use crate::blob::ByteStream;
use crate::intake::Intake;
use crate::layer::{Diff, MadeLayer, ReadCount};
use crate::rewind::{OF_ONE_SHOT, OF_REPEATABLE, Rewind, unread};
use crate::sync::Lock;
use crate::{Error, ErrorKind, Result, Side};

/// Wraps a layer's stream of bytes from an offset on.
pub(super) type Observed = Box<dyn Fn(u64, ByteStream) -> ByteStream + Send + Sync>;

/// A layer as an [`Intake`] for a store.
pub(super) struct LayerIntake {
    share: LayerShare,
    observed: Observed,
    told: Arc<dyn Fn(u64) + Send + Sync>,
    key: Digest,
    state: Lock<State>,
}

#[derive(Default)]
struct State {
    /// The making that began last.
    bytes: Option<Rewind>,
    /// How much was read for it.
    read: ReadCount,
    /// What is learned in it beside the digest, unless the making is shared.
    diff: Option<Diff>,
    /// Why the last try failed.
    failure: Option<String>,
}

impl LayerIntake {
    /// Wraps each stream with `observed`, and calls `told` with the bytes of the layer's tar that
    /// were read before each chunk.
    pub(super) fn new(
        share: LayerShare,
        observed: Observed,
        told: Arc<dyn Fn(u64) + Send + Sync>,
    ) -> Self {
        LayerIntake {
            share,
            observed,
            told,
            key: new_key(),
            state: Lock::default(),
        }
    }

    /// Names the content for [`crate::store::Hints::give_up`].
    pub(super) fn name(&self) -> Digest {
        self.key.clone()
    }

    /// Between two tries: leaves the shared making, unless the bytes come once.
    pub(super) fn rest(&self) {
        if self.share.layer().comes_once() {
            return;
        }
        self.share.leave();
        if let Some(bytes) = &self.state.lock().bytes {
            bytes.end();
        }
    }

    /// The made layer, given the descriptor of what the store has.
    ///
    /// # Errors
    /// If the layer was not read to its end.
    pub(super) async fn became(&self, descriptor: Descriptor) -> Result<MadeLayer> {
        let own = self.state.lock().diff.take();
        self.share.became(own, descriptor).await
    }

    /// The error of a try. Where it says that bytes are gone, adds why they were wanted again.
    pub(super) fn judged(&self, error: Error) -> Error {
        let earlier = self.state.lock().failure.replace(error.to_string());
        let gone = error.kind() == ErrorKind::Interrupted && !error.is_transient();
        match earlier.filter(|_| gone) {
            Some(earlier) => error.source(earlier),
            None => error,
        }
    }

    /// Starts a making, for its bytes from `offset` on.
    async fn start(&self, offset: u64) -> Result<Rewind> {
        let started = self.share.start().await;
        let Begun { stream, read, diff } = started.map_err(|error| error.side(Side::Source))?;
        let keep = match self.share.layer().comes_once() {
            true => OF_ONE_SHOT,
            false => OF_REPEATABLE,
        };
        let bytes = Rewind::behind(offset, stream, keep);
        let mut state = self.state.lock();
        state.diff = diff;
        state.read = read;
        state.bytes = Some(bytes.clone());
        Ok(bytes)
    }
}

#[async_trait]
impl Intake for LayerIntake {
    fn key(&self) -> Option<&Digest> {
        Some(&self.key)
    }

    fn identity(&self) -> Option<&Digest> {
        self.share.layer().identity()
    }

    async fn open(&self, offset: u64) -> Result<ByteStream> {
        let begun = self.state.lock().bytes.clone();
        let once = self.share.layer().comes_once();
        let begun = begun.filter(|bytes| once || bytes.reaches(offset));
        let bytes = match begun {
            Some(begun) => begun,
            None => self.start(offset).await?,
        };
        let (read, told) = (self.state.lock().read.clone(), Arc::clone(&self.told));
        let tell = move |_: &_| read.bytes().into_iter().for_each(|bytes| told(bytes));
        let stream = bytes.open(offset)?.inspect_ok(tell).boxed();
        Ok((self.observed)(offset, stream))
    }

    fn learned(&self) -> Result<(Digest, u64)> {
        let bytes = self.state.lock().bytes.clone();
        bytes.ok_or_else(unread)?.learned()
    }
}

/// A new key for content without a digest.
fn new_key() -> Digest {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let serial = NEXT.fetch_add(1, Ordering::Relaxed);
    Digest::of(format!("content {serial} in the making").as_bytes())
}
