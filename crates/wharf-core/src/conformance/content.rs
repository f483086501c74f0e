//! Made-up content, the same in each run.

use bytes::Bytes;
use futures::{StreamExt, stream};
use wharf_oci::{Algorithm, Descriptor, Digest, Manifest, MediaType};

use crate::blob::{Blob, ByteStream};
use crate::store::Store;
use crate::{Error, ErrorKind, Result, Side};

/// Bytes that no compression makes small.
pub(super) fn noise(seed: u64, length: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[7]
    };
    (0..length).map(|_| next()).collect()
}

pub(super) fn described(bytes: &[u8]) -> Descriptor {
    described_by(Algorithm::Sha256, bytes)
}

pub(super) fn described_by(algorithm: Algorithm, bytes: &[u8]) -> Descriptor {
    let digest = Digest::of_with(algorithm, bytes);
    Descriptor::new(MediaType::OCI_LAYER, digest, bytes.len() as u64)
}

/// A blob of exactly these bytes.
pub(super) fn blob_of(bytes: &Bytes) -> Blob {
    Blob::from_bytes(described(bytes), bytes.clone())
}

/// The bytes in chunks of some size.
pub(super) fn chunks(bytes: &Bytes) -> ByteStream {
    let chunks: Vec<_> = bytes.chunks(50_000).map(Bytes::copy_from_slice).collect();
    stream::iter(chunks.into_iter().map(Ok)).boxed()
}

/// The first half of the bytes, and then an error.
pub(super) fn half(bytes: &Bytes) -> ByteStream {
    let half = bytes.slice(..bytes.len() / 2);
    chunks(&half)
        .chain(stream::once(async { Err(cut_off()) }))
        .boxed()
}

fn cut_off() -> Error {
    Error::new(ErrorKind::Interrupted, "the source was cut off").side(Side::Source)
}

/// Puts config and layer of an image, which depend on `seed`, and returns its manifest. `extra` has
/// more fields of it, each after a comma.
pub(super) async fn image(store: &dyn Store, seed: u64, extra: &str) -> Result<Manifest> {
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","author":"{seed}","rootfs":{{"type":"layers","diff_ids":[]}}}}"#
    );
    let config = Bytes::from(config);
    let described_config = Descriptor {
        media_type: MediaType::OCI_IMAGE_CONFIG,
        ..described(&config)
    };
    let layer = noise(seed, 1000);
    let config = Blob::from_bytes(described_config, config);
    for blob in [&config, &blob_of(&layer)] {
        store.put_blob(blob).await?;
    }
    // Written as no serialiser writes it, with fields of no version.
    let text = format!(
        "{{ \"schemaVersion\":2,\n\t\"x-unknown\": {{\"z\":[1, 2.50], \"a\":\"\\u00e9\"}},\
         \"mediaType\":\"{}\",\"config\":{},  \"layers\":[{}]{extra} }}\n",
        MediaType::OCI_IMAGE_MANIFEST,
        json(config.descriptor())?,
        json(&described(&layer))?,
    );
    Ok(Manifest::parse(None, text.into())?)
}

/// The descriptor as a manifest says it.
pub(super) fn json(descriptor: &Descriptor) -> Result<String> {
    let text = serde_json::to_string(descriptor);
    text.map_err(|error| Error::new(ErrorKind::Invalid, "descriptor").source(error))
}
