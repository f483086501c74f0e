//! A layer of a stored image.

use futures::{StreamExt, TryStreamExt};
use wharf_oci::{Descriptor, Digest};

use super::unpack::unpacked;
use crate::blob::{Blob, ByteStream};
use crate::copy::RetryPolicy;
use crate::draft::DraftLayer;
use crate::store::Source;
use crate::{Error, ErrorKind, Result, Side, verify};

/// A layer of a stored image. Nothing is read before it is opened.
#[derive(Clone, Debug)]
pub struct StoredLayer {
    blob: Blob,
    diff_id: Option<Digest>,
}

impl StoredLayer {
    /// The layer in `blob`, which is read as `retry` says; `diff_id` as the config states it.
    pub fn new(blob: &Blob, diff_id: Option<Digest>, retry: RetryPolicy) -> Self {
        StoredLayer {
            blob: retry.reading(blob),
            diff_id,
        }
    }

    /// A layer of these bytes, for example one that is read from a file. `diff_id` is compared with
    /// what they decompress to.
    pub fn of(blob: Blob, diff_id: Option<Digest>) -> Self {
        StoredLayer { blob, diff_id }
    }

    /// A layer of a draft. `source` has the stored content of that.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if it is made while it is sent, and cannot be read before.
    pub fn of_draft(layer: &DraftLayer, source: &dyn Source, retry: RetryPolicy) -> Result<Self> {
        let pending = match layer {
            DraftLayer::Stored(descriptor) => {
                return Ok(StoredLayer::new(&source.blob(descriptor), None, retry));
            }
            DraftLayer::Recalled(recalled) => &recalled.layer,
            DraftLayer::Pending(pending) => pending,
        };
        let tar = pending.tar().cloned().ok_or_else(|| {
            let message = "this layer is made while it is sent, and cannot be read before";
            let error = Error::new(ErrorKind::Unsupported, message);
            error.target(pending.name()).side(Side::Source)
        })?;
        Ok(StoredLayer::of(tar, pending.diff_id().cloned()))
    }

    /// Media type, digest and size, as stored.
    pub fn descriptor(&self) -> &Descriptor {
        self.blob.descriptor()
    }

    /// The digest of the uncompressed tar, as the config states it; `None` for a blob of an
    /// artifact.
    pub fn diff_id(&self) -> Option<&Digest> {
        self.diff_id.as_ref()
    }

    /// The stored bytes, which can be opened any number of times.
    pub fn blob(&self) -> &Blob {
        &self.blob
    }

    /// The stored bytes. The last chunk comes only if their size and digest are right.
    ///
    /// # Errors
    /// The source's error; in the stream, [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) for
    /// other bytes.
    pub async fn compressed(&self) -> Result<ByteStream> {
        self.blob.read().await
    }

    /// The uncompressed bytes, usually a tar, in chunks of some 256 KiB. gzip and zstd are
    /// recognised by their first bytes. The last chunk comes only if the stored bytes have their
    /// digest, and the uncompressed ones the diff id.
    ///
    /// # Errors
    /// As [`StoredLayer::compressed`]; in the stream,
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if it cannot be decompressed or has
    /// another diff id.
    pub async fn uncompressed(&self) -> Result<ByteStream> {
        let unpacked = unpacked(self.compressed().await?);
        let checked = match &self.diff_id {
            Some(diff_id) => verify::named(unpacked, diff_id),
            None => unpacked,
        };
        let layer = self.descriptor().digest.clone();
        let blamed = move |error: Error| match error.failed_side() {
            None => error
                .target(format_args!("layer {layer}"))
                .side(Side::Source)
                .in_vain(),
            Some(_) => error.in_vain(),
        };
        Ok(checked.map_err(blamed).boxed())
    }
}
