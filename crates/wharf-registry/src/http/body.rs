//! The body of a request. A client may send it slowly, but not stall for ever.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use hyper::body::{Body, Incoming};
use wharf_core::blob::ByteStream;
use wharf_core::sync::Lock;
use wharf_core::{Error, ErrorKind, Result};

/// A client that sends no byte for this long counts as gone.
const IDLE: Duration = Duration::from_secs(60);
/// A refused client gets its answer after it has sent this much, or after this time.
const DRAIN_BYTES: u64 = 64 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// The body of a request.
#[derive(Clone, Debug)]
pub(crate) struct RequestBody(Arc<Lock<Incoming>>);

impl RequestBody {
    pub(crate) fn new(incoming: Incoming) -> Self {
        RequestBody(Arc::new(Lock::new(incoming)))
    }

    /// Whether there is no body, or it was read to its end.
    pub(crate) fn is_at_end(&self) -> bool {
        self.0.lock().is_end_stream()
    }

    /// The bytes that were not read yet.
    pub(crate) fn stream(&self) -> ByteStream {
        let body = self.clone();
        stream::try_unfold(body, |body| async move {
            let next = tokio::time::timeout(IDLE, body.chunk()).await;
            let timeout = |_| Error::new(ErrorKind::Timeout, "no bytes of the request's body came");
            Ok(next
                .map_err(timeout)?
                .transpose()?
                .map(|chunk| (chunk, body)))
        })
        .boxed()
    }

    /// All of it; `None` if it has more than `limit` bytes.
    pub(crate) async fn read_all(&self, limit: u64) -> Result<Option<Bytes>> {
        let (mut stream, mut bytes) = (self.stream(), BytesMut::new());
        while let Some(chunk) = stream.next().await.transpose()? {
            if (bytes.len() + chunk.len()) as u64 > limit {
                return Ok(None);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Some(bytes.freeze()))
    }

    /// Reads the bytes that a refused client still sends. Closing the connection with unread bytes
    /// would reset it, and the client might never see the answer.
    pub(crate) async fn drain(&self) {
        let reading = async {
            let mut left = DRAIN_BYTES;
            while let Some(Ok(chunk)) = self.chunk().await {
                left = left.saturating_sub(chunk.len() as u64);
                if left == 0 {
                    return;
                }
            }
        };
        // When the time is over, the rest is not read.
        let _ = tokio::time::timeout(DRAIN_TIME, reading).await;
    }

    async fn chunk(&self) -> Option<Result<Bytes>> {
        loop {
            let frame = std::future::poll_fn(|context| {
                let mut incoming = self.0.lock();
                Pin::new(&mut *incoming).poll_frame(context)
            });
            match frame.await? {
                Ok(frame) => {
                    // Trailers have no meaning here.
                    if let Ok(chunk) = frame.into_data() {
                        return Some(Ok(chunk));
                    }
                }
                Err(error) => {
                    let broke = Error::new(ErrorKind::Interrupted, "the request's body broke off");
                    return Some(Err(broke.source(error)));
                }
            }
        }
    }
}
