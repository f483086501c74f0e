//! Content without a digest until it was read once, as an input of a store.

use std::sync::Arc;

use async_trait::async_trait;
use wharf_oci::Digest;

use crate::Result;
use crate::blob::ByteStream;
use crate::rewind::{OF_ONE_SHOT, Rewind};

/// Content with a digest that is learned while it is read.
#[async_trait]
pub trait Intake: Send + Sync {
    /// Identifies this content within this process, for a further try. `None` if there is no
    /// further try, so that the store keeps nothing for it.
    fn key(&self) -> Option<&Digest>;

    /// Identifies its exact bytes in every process, before they are made. `None` if nothing does,
    /// or if another process should not continue them.
    fn identity(&self) -> Option<&Digest>;

    /// The bytes from `offset` on. The bytes before it still count for the digest.
    ///
    /// # Errors
    /// The source's error, of [`crate::Side::Source`]; that the bytes at `offset` are gone. In the
    /// stream, [`crate::ErrorKind::Rejected`] if it ends before `offset`.
    async fn open(&self, offset: u64) -> Result<ByteStream>;

    /// Digest and size of all bytes, once the stream opened last was read to its end.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Rejected`] if it was not.
    fn learned(&self) -> Result<(Digest, u64)>;
}

/// A stream that comes once, for one try. Its last 16 MiB are kept while it is read, so that a
/// store can repeat a request.
pub fn once(stream: ByteStream) -> Arc<dyn Intake> {
    Arc::new(OneShot(Rewind::new(stream, OF_ONE_SHOT)))
}

struct OneShot(Rewind);

#[async_trait]
impl Intake for OneShot {
    fn key(&self) -> Option<&Digest> {
        None
    }

    fn identity(&self) -> Option<&Digest> {
        None
    }

    async fn open(&self, offset: u64) -> Result<ByteStream> {
        self.0.open(offset)
    }

    fn learned(&self) -> Result<(Digest, u64)> {
        self.0.learned()
    }
}
