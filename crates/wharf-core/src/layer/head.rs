//! Looks at a layer's input: what is not a tar, or ends too early, is no layer.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};

use crate::blob::ByteStream;
use crate::sniff::{ENOUGH, Packing, is_tar, not_a_tar};
use crate::tar_entries::{Whole, whole};
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

/// The same of bytes that are read and not passed on.
#[derive(Default)]
pub(super) struct OnlyTar {
    head: Head,
    whole: Whole,
}

impl OnlyTar {
    /// The next bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] once they show that it is no tar.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Result<()> {
        self.whole.add(bytes);
        if self.head.suffices() {
            return Ok(());
        }
        self.head.add(bytes);
        match self.head.suffices() {
            true => self.head.judge(),
            false => Ok(()),
        }
    }

    /// There are no more.
    ///
    /// # Errors
    /// As [`OnlyTar::add`]; [`ErrorKind::Corrupt`] where an entry is not whole.
    pub(super) fn end(&self) -> Result<()> {
        self.head.judge()?;
        self.whole.end()
    }
}

/// The beginning of a stream.
struct Beginning {
    head: Head,
    held: Vec<Bytes>,
    rest: ByteStream,
}

async fn begin(rest: ByteStream) -> Result<Beginning> {
    let mut begun = Beginning {
        head: Head::default(),
        held: Vec::new(),
        rest,
    };
    while !begun.head.suffices() {
        let Some(chunk) = begun.rest.next().await.transpose()? else {
            // The end is polled once: what follows it must not be.
            begun.rest = stream::empty().boxed();
            break;
        };
        begun.head.add(&chunk);
        begun.held.push(chunk);
    }
    Ok(begun)
}

impl Beginning {
    fn judged(self) -> Result<(Vec<Bytes>, ByteStream)> {
        self.head.judge()?;
        Ok((self.held, self.rest))
    }
}

/// The first bytes of what should be a tar.
#[derive(Default)]
struct Head {
    /// At most [`ENOUGH`].
    bytes: Vec<u8>,
    /// Of all that was added.
    length: usize,
}

impl Head {
    fn add(&mut self, bytes: &[u8]) {
        let missing = ENOUGH.saturating_sub(self.bytes.len());
        self.bytes.extend(bytes.iter().take(missing));
        self.length = self.length.saturating_add(bytes.len());
    }

    /// Whether more bytes change no verdict.
    fn suffices(&self) -> bool {
        self.length >= ENOUGH && (!is_zero(&self.bytes) || self.length > EMPTY_TAR)
    }

    /// The verdict, of bytes that suffice or are all there is.
    fn judge(&self) -> Result<()> {
        let head = &self.bytes;
        let no_entries = !self.suffices() && head.len() == ENOUGH && is_zero(head);
        if is_tar(head) || no_entries {
            return Ok(());
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

    /// What the stream yields. Bytes that are only read are judged alike.
    async fn read(bytes: &[u8], chunk: usize) -> Result<Vec<u8>> {
        let mut only = OnlyTar::default();
        let added = bytes.chunks(chunk).try_for_each(|part| only.add(part));
        let beside = added.and_then(|()| only.end());
        let chunks = bytes
            .chunks(chunk)
            .map(|part| Ok(Bytes::copy_from_slice(part)));
        let chunks: Vec<Result<Bytes>> = chunks.collect();
        let stream = only_tar(stream::iter(chunks).boxed(), "x".into());
        let yielded = stream.try_collect::<Vec<Bytes>>().await;
        match (&yielded, beside) {
            (Ok(_), beside) => beside.unwrap(),
            (Err(error), beside) => {
                let beside = beside.unwrap_err().target("x");
                assert_eq!(beside.to_string(), error.to_string());
            }
        }
        Ok(yielded?.concat())
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
    async fn a_tar_that_is_cut_within_an_entry_is_refused() {
        let mut long = tar::Header::new_ustar();
        long.set_path("long").unwrap();
        long.set_size(3000);
        long.set_cksum();
        let cut = [&long.as_bytes()[..], &[7; 2999]].concat();
        for chunk in [1, 100, 512, 1 << 20] {
            let error = read(&cut, chunk).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
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
