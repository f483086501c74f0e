//! Content that has no digest before it was read once, as a store takes it in.

use std::sync::Arc;

use async_trait::async_trait;
use wharf_oci::Digest;

use crate::Result;
use crate::blob::ByteStream;
use crate::rewind::{OF_ONE_SHOT, Rewind};

/// Content whose digest is learned while it is read.
#[async_trait]
pub trait Intake: Send + Sync {
    /// Names this content among all that this process moves, for a further try; `None` where there
    /// is no further try, so that the store keeps nothing for it.
    fn key(&self) -> Option<&Digest>;

    /// Names its bytes exactly and for all processes, before they are made; `None` where nothing
    /// does, or where another process should not continue with them.
    fn identity(&self) -> Option<&Digest>;

    /// The bytes from `offset` on. The bytes before count for what is learned all the same.
    ///
    /// # Errors
    /// What the source says, of [`crate::Side::Source`]; that the bytes at `offset` are gone. In the
    /// stream, [`crate::ErrorKind::Rejected`] where it ends before `offset`.
    async fn open(&self, offset: u64) -> Result<ByteStream>;

    /// Digest and size of all bytes, once the stream opened last was read to its end.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Rejected`] where it was not.
    fn learned(&self) -> Result<(Digest, u64)>;
}

/// A stream that comes once, for one try. Its last 16 MiB are kept while it is read, so that a
/// store can take a request back.
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
