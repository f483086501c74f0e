//! Compression of layers with zstd, in parallel, to bytes that depend on content and settings alone.
//!
//! Each block becomes a frame; concatenated frames are one content (RFC 8878, section 3).

use std::io;
use std::sync::Arc;

use ::zstd::bulk::Compressor;
use ::zstd::zstd_safe::compress_bound;
use bytes::Bytes;
use futures::StreamExt;

use super::blocks::{at_once, blocks};
use crate::blob::ByteStream;
use crate::sync::Lock;
use crate::verify::blocking;
use crate::{Error, ErrorKind, Result};

/// Bytes of content in a frame. Frames are independent, so small ones compress badly; several of
/// this size in parallel take little memory.
const BLOCK: usize = 1 << 20;

/// The settings of zstd: everything that the compressed bytes depend on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ZstdSettings {
    /// From 1, fast, to 22, small.
    pub level: u8,
}

impl Default for ZstdSettings {
    fn default() -> Self {
        ZstdSettings { level: 3 }
    }
}

/// Compresses `stream` off the reactor, several blocks at a time. Empty content makes one empty
/// frame.
///
/// The stream fails as its input does, and with [`ErrorKind::Invalid`] for an invalid level.
pub fn zstd(stream: ByteStream, settings: &ZstdSettings) -> ByteStream {
    let level = i32::from(settings.level);
    let encoders = Arc::new(Encoders::default());
    blocks(stream, BLOCK)
        .map(move |block| {
            let encoders = Arc::clone(&encoders);
            async move {
                let block = block?;
                blocking(move || encoders.frame(&block, level)).await?
            }
        })
        .buffered(at_once())
        .boxed()
}

/// The encoders of a stream that rest. Making them anew for each block would spread their memory over
/// the allocator's arenas of all threads.
#[derive(Default)]
struct Encoders(Lock<Vec<Encoder>>);

/// An encoder with room for a frame.
struct Encoder {
    compressor: Compressor<'static>,
    frame: Vec<u8>,
}

impl Encoders {
    fn frame(&self, block: &[u8], level: i32) -> Result<Bytes> {
        if level < 1 || !::zstd::compression_level_range().contains(&level) {
            let message = format!("no compression level {level}");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let resting = self.0.lock().pop();
        let compress = || {
            let mut encoder = resting.map_or_else(|| Encoder::new(level), Ok)?;
            let length = encoder.compress(block)?;
            let frame = encoder.frame.get(..length).map(Bytes::copy_from_slice);
            self.0.lock().push(encoder);
            Ok(frame.unwrap_or_default())
        };
        compress()
            .map_err(|error: io::Error| Error::new(ErrorKind::Io, "compression").source(error))
    }
}

impl Encoder {
    fn new(level: i32) -> io::Result<Self> {
        let mut compressor = Compressor::new(level)?;
        compressor.include_checksum(true)?;
        Ok(Encoder {
            compressor,
            frame: Vec::with_capacity(compress_bound(BLOCK)),
        })
    }

    /// Writes the frame of a block, and returns its length.
    fn compress(&mut self, block: &[u8]) -> io::Result<usize> {
        self.frame.clear();
        self.frame.reserve(compress_bound(block.len()));
        self.compressor.compress_to_buffer(block, &mut self.frame)
    }
}

#[cfg(test)]
mod tests {
    use futures::{TryStreamExt, stream};

    use super::*;

    async fn compress(bytes: &[u8], chunk: usize, level: u8) -> Result<Vec<u8>> {
        let chunks: Vec<_> = bytes
            .chunks(chunk)
            .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
            .collect();
        let stream = zstd(stream::iter(chunks).boxed(), &ZstdSettings { level });
        Ok(stream.try_collect::<Vec<_>>().await?.concat())
    }

    #[tokio::test]
    async fn gives_back_what_went_in_whatever_the_chunks_were() {
        for length in [0, 1, BLOCK, 2 * BLOCK + 5] {
            let bytes: Vec<u8> = (0..length).map(|i| ((i * i) >> 7) as u8).collect();
            let one = compress(&bytes, BLOCK, 3).await.unwrap();
            let other = compress(&bytes, 70_001, 3).await.unwrap();
            assert!(one == other, "{length}");
            assert!(::zstd::decode_all(&one[..]).unwrap() == bytes, "{length}");
        }
    }

    #[tokio::test]
    async fn a_level_that_is_none_is_refused() {
        for level in [0, 23] {
            let error = compress(b"a", 1, level).await.unwrap_err();
            assert_eq!(error.to_string(), format!("no compression level {level}"));
        }
    }
}
