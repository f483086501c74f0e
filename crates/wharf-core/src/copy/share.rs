//! What one destination of a copy gets of a blob or a layer (wire.md O7).
//!
//! Several destinations share one reading or making, as long as they keep pace; a single one reads
//! and makes for itself.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{Mutex, OnceCell};
use wharf_oci::{Descriptor, Digest};

use super::tee::{self, Pace, Seat, Tee};
use crate::blob::{Blob, ByteStream};
use crate::layer::{Diff, MadeLayer, PendingLayer, ReadCount};
use crate::{Error, ErrorKind, Result};

/// A blob, for one destination.
pub(super) struct BlobShare {
    blob: Blob,
    seat: Arc<Seat>,
}

impl BlobShare {
    /// The share of a single destination.
    pub(super) fn alone(blob: &Blob) -> Self {
        BlobShare {
            blob: blob.clone(),
            seat: Seat::alone(),
        }
    }

    /// Shares for `count` destinations, and the reading that feeds them.
    pub(super) fn of(blob: &Blob, count: usize) -> (BoxFuture<'_, ()>, Vec<Self>) {
        let (tee, seats) = Tee::with_seats(count);
        let share = |seat: Arc<Seat>| BlobShare {
            blob: seat.share(blob),
            seat,
        };
        let shares = seats.into_iter().map(share).collect();
        let reading = async move { tee.pump(Pace::LeavesBehind, blob.open(0).boxed()).await };
        (reading.boxed(), shares)
    }

    /// The blob, with its first read from offset 0 shared.
    pub(super) fn blob(&self) -> &Blob {
        &self.blob
    }

    /// Ends a try: other destinations do not wait for the next one.
    pub(super) fn leave(&self) {
        self.seat.leave();
    }
}

/// A layer in the making, for one destination.
pub(super) struct LayerShare {
    layer: PendingLayer,
    seat: Arc<Seat>,
    making: Arc<Making>,
}

/// The bytes of a layer from the beginning, for one destination.
pub(super) struct Begun {
    pub(super) stream: ByteStream,
    /// What is read to make them.
    pub(super) read: ReadCount,
    /// Their diff id, unless they are shared.
    pub(super) diff: Option<Diff>,
}

/// The state of a shared making.
#[derive(Default)]
struct Making {
    read: ReadCount,
    diff: Mutex<Option<Diff>>,
    diff_id: OnceCell<Option<Digest>>,
}

impl LayerShare {
    /// The share of a single destination.
    pub(super) fn alone(layer: &PendingLayer) -> Self {
        LayerShare {
            layer: layer.clone(),
            seat: Seat::alone(),
            making: Arc::default(),
        }
    }

    /// Shares for `count` destinations, and the making that feeds them.
    pub(super) fn of(layer: &PendingLayer, count: usize) -> (BoxFuture<'_, ()>, Vec<Self>) {
        let making = Arc::new(Making::default());
        let (tee, seats) = Tee::with_seats(count);
        let share = |seat| LayerShare {
            layer: layer.clone(),
            seat,
            making: Arc::clone(&making),
        };
        let shares = seats.into_iter().map(share).collect();
        let pace = match layer.comes_once() {
            true => Pace::Patient,
            false => Pace::LeavesBehind,
        };
        let reading = async move { tee.pump(pace, making.start(layer).boxed()).await };
        (reading.boxed(), shares)
    }

    /// The layer.
    pub(super) fn layer(&self) -> &PendingLayer {
        &self.layer
    }

    /// Ends a try: other destinations do not wait for the next one.
    pub(super) fn leave(&self) {
        self.seat.leave();
    }

    /// The bytes: the shared ones, or, in a further try or for a single destination, its own with
    /// their own diff id.
    ///
    /// # Errors
    /// If the layer cannot be made.
    pub(super) async fn start(&self) -> Result<Begun> {
        if let Some(chunks) = self.seat.join() {
            return Ok(Begun {
                stream: tee::shared(chunks),
                read: self.making.read.clone(),
                diff: None,
            });
        }
        let read = ReadCount::default();
        let (stream, diff) = self.layer.start(read.clone()).await?.split();
        Ok(Begun {
            stream,
            read,
            diff: Some(diff),
        })
    }

    /// The made layer, given the descriptor of what the store has, and the diff id of bytes of its
    /// own.
    ///
    /// # Errors
    /// If the layer was not read to its end.
    pub(super) async fn became(
        &self,
        own: Option<Diff>,
        descriptor: Descriptor,
    ) -> Result<MadeLayer> {
        if let Some(diff) = own {
            return diff.of(descriptor).await;
        }
        let learn = async || {
            let unread = || Error::new(ErrorKind::Rejected, "the layer was not made");
            let diff = self.making.diff.lock().await.take().ok_or_else(unread)?;
            Ok::<_, Error>(diff.of(descriptor.clone()).await?.diff_id)
        };
        let diff_id = self.making.diff_id.get_or_try_init(learn).await?.clone();
        Ok(MadeLayer {
            descriptor,
            diff_id,
        })
    }
}

impl Making {
    async fn start(&self, layer: &PendingLayer) -> Result<ByteStream> {
        let (stream, diff) = layer.start(self.read.clone()).await?.split();
        *self.diff.lock().await = Some(diff);
        Ok(stream)
    }
}
