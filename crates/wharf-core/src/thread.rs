//! Threads for work that waits in its middle, for a pipe or for the consumer of a stream.
//!
//! Such work stays off the shared pool of [`crate::verify::blocking`]. The pool has a fixed number of
//! threads for short work, and many slow streams would hold them all.

use crate::{Error, Result};

/// Runs `work` on a thread of its own, which ends with it.
///
/// # Errors
/// The system's error if it starts no further thread.
pub(crate) fn apart(work: impl FnOnce() + Send + 'static) -> Result<()> {
    let thread = std::thread::Builder::new().name("wharf-stream".to_owned());
    let started = thread.spawn(work).map(drop);
    started.map_err(|error| Error::io("a thread for a stream", error))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;
    use std::sync::Arc;
    use std::time::Duration;

    use futures::StreamExt;

    use crate::blob::ByteStream;
    use crate::file;
    use crate::layer::{Family, LayerInput, TreeOptions};
    use crate::verify::blocking;

    /// More streams than the runtime of the test has threads for blocking work.
    const STREAMS: usize = 12;

    /// Reads the first chunk of every stream, then nothing, and checks that the pool is free.
    fn check(streams: impl Future<Output = Vec<ByteStream>>) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut streams = streams.await;
            for stream in &mut streams {
                let first = tokio::time::timeout(Duration::from_secs(60), stream.next());
                first.await.expect("a thread").unwrap().unwrap();
            }
            // A fast reader beside the slow ones.
            let fast = tokio::time::timeout(Duration::from_secs(60), blocking(|| 7));
            assert_eq!(fast.await.expect("a thread").unwrap(), 7);
        });
    }

    fn big_file() -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![7; 6 * file::CHUNK]).unwrap();
        file
    }

    #[test]
    fn fault_a8_slow_readers_of_files_hold_no_thread() {
        let file = Arc::new(big_file());
        let length = 6 * file::CHUNK as u64;
        check(async {
            let open = |_| file::region(Arc::clone(&file), "f", 0, length);
            (0..STREAMS).map(open).collect()
        });
    }

    #[test]
    fn fault_a8_slow_consumers_of_readers_hold_no_shared_thread() {
        check(async {
            let open = |_| file::reader(std::io::repeat(7), "endless");
            (0..STREAMS).map(open).collect()
        });
    }

    #[test]
    fn fault_a8_slow_consumers_of_made_layers_hold_no_shared_thread() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("big"), vec![7; 6 * file::CHUNK]).unwrap();
        check(async {
            let mut streams = Vec::new();
            for _ in 0..STREAMS {
                let input = LayerInput::directory(directory.path(), TreeOptions::default());
                let layer = input.tar(&crate::layer::Packing::Plain, Family::Oci);
                streams.push(layer.unwrap().open().await.unwrap());
            }
            streams
        });
    }

    #[test]
    fn fault_a8_slow_consumers_of_packed_layers_hold_no_shared_thread() {
        let compress = |level| {
            use std::io::Read;
            let content = std::io::repeat(7).take(64);
            let mut packed = Vec::new();
            let mut encoder = flate2::read::GzEncoder::new(content, level);
            encoder.read_to_end(&mut packed).unwrap();
            packed
        };
        let packed = bytes::Bytes::from(compress(flate2::Compression::fast()));
        check(async {
            let mut streams = Vec::new();
            for _ in 0..STREAMS {
                let chunks = futures::stream::iter([Ok(packed.clone())]);
                let endless = chunks.chain(futures::stream::pending()).boxed();
                let input = LayerInput::stream("packed", endless);
                let layer = input.compressed(wharf_oci::Compression::Gzip, Family::Oci);
                streams.push(layer.unwrap().open().await.unwrap());
            }
            streams
        });
    }

    #[tokio::test]
    async fn a_stream_whose_thread_dies_does_not_end_as_if_it_were_whole() {
        struct Broken;
        impl std::io::Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                panic!("a reader with a fault");
            }
        }
        let mut stream = file::reader(Broken, "broken");
        let error = stream.next().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Cancelled);
        assert!(stream.next().await.is_none());
    }
}
