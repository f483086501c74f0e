//! Cuts streams into blocks of equal size, so that the output for a block depends on content alone.

use bytes::{Bytes, BytesMut};
use futures::stream::{self, Fuse};
use futures::{Stream, StreamExt};

use crate::Result;
use crate::blob::ByteStream;

/// The most blocks processed at a time: bounds memory on large machines.
const MOST_AT_ONCE: usize = 8;

/// How many blocks to process at a time.
pub(super) fn at_once() -> usize {
    std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(MOST_AT_ONCE)
}

/// The same bytes in blocks of `size` bytes, the last one shorter; one empty block for none.
pub(super) fn blocks(stream: ByteStream, size: usize) -> impl Stream<Item = Result<Bytes>> + Send {
    let state = Blocks {
        size,
        stream: stream.fuse(),
        chunk: Bytes::new(),
        partial: BytesMut::new(),
        blocks: 0,
    };
    stream::try_unfold(state, |mut state| async move {
        Ok(state.next().await?.map(|block| (block, state)))
    })
}

struct Blocks {
    size: usize,
    /// Fused, because it is polled after its end if the last block was full.
    stream: Fuse<ByteStream>,
    /// The rest of the last chunk.
    chunk: Bytes,
    /// The beginning of an incomplete block.
    partial: BytesMut,
    /// The number of blocks yielded.
    blocks: u64,
}

impl Blocks {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        while self.partial.len() + self.chunk.len() < self.size {
            self.partial.extend_from_slice(&self.chunk);
            let Some(chunk) = self.stream.next().await.transpose()? else {
                self.chunk = Bytes::new();
                let last = self.partial.split().freeze();
                let wanted = !last.is_empty() || self.blocks == 0;
                self.blocks += 1;
                return Ok(wanted.then_some(last));
            };
            self.chunk = chunk;
        }
        self.blocks += 1;
        if self.partial.is_empty() {
            return Ok(Some(self.chunk.split_to(self.size)));
        }
        let rest = self.chunk.split_to(self.size - self.partial.len());
        self.partial.extend_from_slice(&rest);
        Ok(Some(self.partial.split().freeze()))
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    const BLOCK: usize = 1000;

    #[tokio::test]
    async fn blocks_are_full_but_the_last_and_none_is_empty() {
        let chunks = [0, 1, BLOCK, 2 * BLOCK - 1].map(|length| Ok(Bytes::from(vec![7; length])));
        let lengths: Vec<_> = blocks(stream::iter(chunks).boxed(), BLOCK)
            .map_ok(|block| block.len())
            .try_collect()
            .await
            .unwrap();
        assert_eq!(lengths, [BLOCK; 3]);
    }
}
