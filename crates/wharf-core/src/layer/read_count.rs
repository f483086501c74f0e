//! Counts the bytes of a layer's tar that were read to make it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::{StreamExt, TryStreamExt};

use crate::blob::ByteStream;

/// A count of one making. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadCount(Arc<AtomicU64>);

impl ReadCount {
    /// The same bytes, counted.
    pub(crate) fn of(&self, stream: ByteStream) -> ByteStream {
        let read = Arc::clone(&self.0);
        stream
            .inspect_ok(move |chunk| {
                read.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            })
            .boxed()
    }

    /// Bytes so far; `None` if nothing was counted.
    pub(crate) fn bytes(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|bytes| *bytes > 0)
    }
}
