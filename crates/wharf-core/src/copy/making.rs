//! One making of a layer, shared by several destinations.

use tokio::sync::{Mutex, OnceCell};
use wharf_oci::{Descriptor, Digest};

use super::tee::{self, Seat};
use crate::blob::ByteStream;
use crate::draft::{MadeLayer, PendingLayer};
use crate::layer::Diff;
use crate::{Error, ErrorKind, Result};

/// The state of a shared making.
#[derive(Default)]
pub(super) struct Making {
    diff: Mutex<Option<Diff>>,
    diff_id: OnceCell<Option<Digest>>,
}

impl Making {
    /// Starts the making for all destinations that joined.
    ///
    /// # Errors
    /// If the layer cannot be made.
    pub(super) async fn start(&self, layer: &PendingLayer) -> Result<ByteStream> {
        let (stream, diff) = layer.start().await?.split();
        *self.diff.lock().await = Some(diff);
        Ok(stream)
    }

    /// The bytes for one destination: the shared ones, or, in a further try or for a single
    /// destination, its own with their own diff id.
    ///
    /// # Errors
    /// If the layer cannot be made.
    pub(super) async fn stream(
        &self,
        layer: &PendingLayer,
        seat: &Seat,
    ) -> Result<(ByteStream, Option<Diff>)> {
        if let Some(chunks) = seat.join() {
            return Ok((tee::shared(chunks), None));
        }
        let (stream, diff) = layer.start().await?.split();
        Ok((stream, Some(diff)))
    }

    /// The made layer, given the descriptor of what the store has.
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
            let diff = self.diff.lock().await.take().ok_or_else(unread)?;
            Ok::<_, Error>(diff.of(descriptor.clone()).await?.diff_id)
        };
        let diff_id = self.diff_id.get_or_try_init(learn).await?.clone();
        Ok(MadeLayer {
            descriptor,
            diff_id,
        })
    }
}
