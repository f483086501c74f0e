//! Compression of layers, in parallel, to bytes that depend on the content and settings alone.
//!
//! Cuts a stream into blocks of equal size and compresses each as a gzip member; concatenated
//! members are one gzip stream (RFC 1952, section 2.2). Chunk sizes and the number of threads do
//! not change the output.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use libdeflater::{CompressionLvl, Compressor};

use super::blocks::{at_once, blocks};
use crate::blob::ByteStream;
use crate::sync::Lock;
use crate::verify::blocking;
use crate::{Error, ErrorKind, Result};

/// Bytes of content in a gzip member. Larger saves little; smaller compresses worse.
const BLOCK: usize = 256 * 1024;

/// The compressor and its version, as far as the output depends on it.
const COMPRESSOR: &str = "libdeflate-1.26";

/// The settings of gzip: everything that the compressed bytes depend on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// From 1, fast, to 12, small.
    pub level: u8,
}

/// The fastest level. It compresses 300 MB of programs and libraries to 158 MB, less than gzip's
/// fastest, at twice the speed of level 6 (152 MB).
impl Default for Settings {
    fn default() -> Self {
        Settings { level: 1 }
    }
}

impl Settings {
    /// Identifies compressor, version and settings: equal text means equal output for equal input.
    pub fn fingerprint(&self) -> String {
        format!("{COMPRESSOR} gzip level {} block {BLOCK}", self.level)
    }
}

/// Compresses `stream` off the reactor, several blocks at a time. Empty content makes one empty
/// member.
///
/// The stream fails as its input does, and with [`ErrorKind::Invalid`] for an invalid level.
pub fn gzip(stream: ByteStream, settings: &Settings) -> ByteStream {
    let compressors = Arc::new(Compressors::new(settings.level));
    blocks(stream, BLOCK)
        .map(move |block| {
            let compressors = Arc::clone(&compressors);
            async move {
                let block = block?;
                let making = compressors.start(&block)?;
                blocking(move || compressors.finish(making, &block)).await?
            }
        })
        .buffered(at_once())
        .boxed()
}

/// Compressors of one level. They are used again, and no memory is taken on the threads of the pool:
/// the allocator keeps some for each thread that asked for it, and the pool has many.
struct Compressors {
    level: i32,
    free: Lock<Vec<Compressor>>,
}

/// A member of the output that is being made.
struct Making {
    compressor: Compressor,
    output: Vec<u8>,
}

impl Compressors {
    fn new(level: u8) -> Self {
        Compressors {
            level: i32::from(level),
            free: Lock::default(),
        }
    }

    /// Takes what the making of a member needs, on the thread of the reader.
    fn start(&self, block: &[u8]) -> Result<Making> {
        let free = self.free.lock().pop();
        let mut compressor = free.map_or_else(|| self.another(), Ok)?;
        let output = vec![0; compressor.gzip_compress_bound(block.len())];
        Ok(Making { compressor, output })
    }

    /// Makes a member. Blocking.
    fn finish(&self, making: Making, block: &[u8]) -> Result<Bytes> {
        let Making {
            mut compressor,
            mut output,
        } = making;
        let length = compressor
            .gzip_compress(block, &mut output)
            .map_err(|error| Error::new(ErrorKind::Io, "compression").source(error))?;
        self.free.lock().push(compressor);
        output.truncate(length);
        output.shrink_to_fit();
        Ok(output.into())
    }

    fn another(&self) -> Result<Compressor> {
        let unknown = |_| {
            let message = format!("no compression level {}", self.level);
            Error::new(ErrorKind::Invalid, message)
        };
        CompressionLvl::new(self.level)
            .map(Compressor::new)
            .map_err(unknown)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use futures::{TryStreamExt, stream};

    use super::*;

    fn sample(length: usize) -> Vec<u8> {
        (0..length).map(|i| ((i * i) >> 7) as u8).collect()
    }

    async fn compress(bytes: &[u8], chunk: usize) -> Vec<u8> {
        let chunks: Vec<_> = bytes.chunks(chunk).map(Bytes::copy_from_slice).collect();
        // Never polls a stream after its end, which streams of files do not allow.
        let stream = stream::unfold(chunks.into_iter(), |mut chunks| async {
            Some((Ok(chunks.next()?), chunks))
        });
        let stream = gzip(stream.boxed(), &Settings::default());
        stream.try_collect::<Vec<_>>().await.unwrap().concat()
    }

    fn decompress(bytes: &[u8]) -> Vec<u8> {
        let mut content = Vec::new();
        flate2::read::MultiGzDecoder::new(bytes)
            .read_to_end(&mut content)
            .unwrap();
        content
    }

    #[tokio::test]
    async fn gives_back_what_went_in_at_every_edge_of_a_block() {
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK] {
            let bytes = sample(length);
            assert_eq!(
                decompress(&compress(&bytes, 1 << 20).await),
                bytes,
                "{length}"
            );
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn output_does_not_depend_on_the_chunks_that_come() {
        let bytes = sample(5 * BLOCK + 77);
        let whole = compress(&bytes, bytes.len()).await;
        for chunk in [1 << 20, BLOCK, 100_003, 4096] {
            assert_eq!(compress(&bytes, chunk).await, whole, "{chunk}");
        }
    }

    #[tokio::test]
    async fn no_content_is_one_empty_member() {
        let member = compress(b"", 1).await;
        assert_eq!(
            (member[..3].to_vec(), decompress(&member)),
            (vec![0x1f, 0x8b, 8], vec![])
        );
    }

    #[tokio::test]
    async fn passes_the_error_of_its_input_on() {
        let error = || Error::new(ErrorKind::Corrupt, "broken");
        let chunks = [Ok(Bytes::from(sample(BLOCK))), Err(error())];
        let results: Vec<_> = gzip(stream::iter(chunks).boxed(), &Settings::default())
            .take(2)
            .collect()
            .await;
        assert!(results[0].is_ok());
        assert_eq!(results[1].as_ref().unwrap_err().kind(), ErrorKind::Corrupt);
    }
}
