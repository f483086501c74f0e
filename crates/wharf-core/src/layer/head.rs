//! Looks at a layer's input: what is not a tar, or ends too early, is no layer.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};

use crate::blob::ByteStream;
use crate::sniff::{ENOUGH, Packing, is_tar, not_a_tar};
use crate::tar_entries::whole;
use crate::{Error, ErrorKind, Result};

/// Bytes of the longest tar without entries that programs write: one record of zeros.
const EMPTY_TAR: usize = 10_240;

/// Yields `stream` as it is if it is a tar. If it begins as something else, it fails before the first
/// byte; if it ends in the middle of an entry, it fails there.
pub(super) fn only_tar(stream: ByteStream, name: Arc<str>) -> ByteStream {
    stream::once(async move {
        let (held, rest) = begin(stream)
            .await?
            .judged()
            .map_err(|error| error.target(&name))?;
        let held = stream::iter(held.into_iter().map(Ok));
        Ok::<_, Error>(whole(held.chain(rest).boxed(), name))
    })
    .try_flatten()
    .boxed()
}

/// The beginning of a stream.
struct Beginning {
    head: Vec<u8>,
    held: Vec<Bytes>,
    rest: ByteStream,
    /// Whether `held` is all there is.
    ended: bool,
}

async fn begin(rest: ByteStream) -> Result<Beginning> {
    let mut begun = Beginning {
        head: Vec::with_capacity(ENOUGH),
        held: Vec::new(),
        rest,
        ended: false,
    };
    let mut length = 0;
    while length < ENOUGH || (is_zero(&begun.head) && length <= EMPTY_TAR) {
        let Some(chunk) = begun.rest.next().await.transpose()? else {
            begun.ended = true;
            break;
        };
        let missing = ENOUGH.saturating_sub(begun.head.len());
        begun.head.extend(chunk.iter().take(missing));
        length += chunk.len();
        begun.held.push(chunk);
    }
    // The end is polled once: what follows it must not be.
    if begun.ended {
        begun.rest = stream::empty().boxed();
    }
    Ok(begun)
}

impl Beginning {
    fn judged(self) -> Result<(Vec<Bytes>, ByteStream)> {
        let head = &self.head;
        let no_entries = self.ended && head.len() == ENOUGH && is_zero(head);
        if is_tar(head) || no_entries {
            return Ok((self.held, self.rest));
        }
        let what = match Packing::of(head) {
            _ if head.is_empty() => "it is empty".to_owned(),
            Some(packing) => format!("it is compressed with {} already", packing.name()),
            None => return Err(not_a_tar(head)),
        };
        Err(Error::new(ErrorKind::Invalid, format!("not a tar: {what}")))
    }
}

fn is_zero(head: &[u8]) -> bool {
    head.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Vec<u8> {
        let mut header = tar::Header::new_ustar();
        header.set_path("a").unwrap();
        header.set_size(0);
        header.set_cksum();
        header.as_bytes().to_vec()
    }

    async fn read(bytes: &[u8], chunk: usize) -> Result<Vec<u8>> {
        let chunks = bytes
            .chunks(chunk)
            .map(|part| Ok(Bytes::copy_from_slice(part)));
        let chunks: Vec<Result<Bytes>> = chunks.collect();
        let stream = only_tar(stream::iter(chunks).boxed(), "x".into());
        Ok(stream.try_collect::<Vec<Bytes>>().await?.concat())
    }

    #[tokio::test]
    async fn fault_b9_a_tar_passes_whatever_its_chunks() {
        let long = [header(), vec![7; 5000]].concat();
        for bytes in [
            header(),
            long,
            vec![0; 512],
            vec![0; 1024],
            vec![0; EMPTY_TAR],
        ] {
            for chunk in [1, 100, 512, 1 << 20] {
                assert_eq!(read(&bytes, chunk).await.unwrap(), bytes);
            }
        }
    }

    #[tokio::test]
    async fn fault_b9_what_is_no_tar_is_refused_for_what_it_is() {
        for (bytes, said) in [
            (&b"hello, world\n"[..], "looks like text"),
            (b"", "it is empty"),
            (b"\x1f\x8b\x08\0", "it is compressed with gzip already"),
            (&[0; 511], "looks like zeros"),
            (&[0; 1 << 20], "looks like zeros"),
            (&[7; 4096], "looks like data of an unknown kind"),
        ] {
            let error = read(bytes, 600).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            let text = error.to_string();
            assert!(
                text.starts_with("x: not a tar: ") && text.contains(said),
                "{text}"
            );
        }
    }
}
