//! Reads blobs by digest, whole or in part.

use std::ops::{Bound, RangeBounds};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use wharf_oci::{Descriptor, Digest, MediaType, Repository, Selector};

use super::Wharf;
use crate::blob::ByteStream;
use crate::copy::RetryPolicy;
use crate::place::{Choice, Place, content};
use crate::remote::RemoteSource;
use crate::{Error, ErrorKind, Result, Side, verify};

/// An interrupted read continues as long as it makes progress, but at most this many times the
/// allowed tries.
const PROGRESS_FACTOR: u32 = 40;

/// A blob that is being read.
#[non_exhaustive]
pub struct OpenedBlob {
    /// The size of the whole blob, if the registry states it.
    pub size: Option<u64>,
    /// The requested bytes.
    pub bytes: ByteStream,
}

impl Wharf {
    /// Reads the blob `digest` of a repository, with one request: all of it (`..`), or a range of
    /// bytes. If the answer is interrupted, the stream continues with a request for the rest, as
    /// the retry policy allows.
    ///
    /// A whole blob is compared with its digest while it is read: the stream yields the last chunk
    /// only if the digest is right. A part of a blob cannot be checked.
    ///
    /// ```no_run
    /// use futures::TryStreamExt;
    /// use wharf::{Client, Digest, Wharf};
    ///
    /// # async fn example(layer: Digest) -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let at = "registry.example/app".parse()?;
    /// let mut blob = wharf.blob(&at, &layer, ..).await?;
    /// while let Some(chunk) = blob.bytes.try_next().await? {
    ///     println!("{} bytes", chunk.len());
    /// }
    /// let start = wharf.blob(&at, &layer, ..512).await?;
    /// # drop(start);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the repository has no such blob; [`ErrorKind::Invalid`] for a
    /// range without bytes; the registry's other errors. In the stream, [`ErrorKind::Corrupt`] if
    /// the bytes have another digest.
    pub async fn blob(
        &self,
        at: &Repository,
        digest: &Digest,
        range: impl RangeBounds<u64> + Send,
    ) -> Result<OpenedBlob> {
        let (start, end) = limits(&range).map_err(|error| error.target(digest))?;
        drop(range);
        let source = self.source(at).await?;
        let part = self.retry(|| source.blob_part(digest, start, end)).await;
        let part = part.map_err(|error| error.side(Side::Source))?;
        let reading = Reading {
            source,
            digest: digest.clone(),
            retry: self.options().copy.retry,
            at: start,
            end,
            size: part.size,
            bytes: part.bytes,
            breaks: 0,
            fruitless: 0,
        };
        let bytes = stream::try_unfold(reading, |mut reading| async move {
            let chunk = reading
                .next()
                .await
                .map_err(|error| error.side(Side::Source))?;
            Ok(chunk.map(|chunk| (chunk, reading)))
        });
        let bytes = match (start, end) {
            (0, None) => {
                let of = (digest.clone(), at.clone());
                let named = move |error: Error| match error.failed_side() {
                    None => error.target(format_args!("blob {}", of.0)).target(&of.1),
                    Some(_) => error,
                };
                let checked = verify::named(bytes.boxed(), digest);
                checked
                    .map_err(move |error| named(error).side(Side::Source))
                    .boxed()
            }
            _ => bytes.boxed(),
        };
        Ok(OpenedBlob {
            size: part.size,
            bytes,
        })
    }

    /// Reads the blob that a place names by its digest, from a registry, a layout or an archive, as
    /// [`Wharf::blob`] does.
    ///
    /// ```no_run
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let at = "oci:app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    /// let blob = wharf.blob_at(&at.parse()?).await?;
    /// println!("{:?} bytes", blob.size);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if the place has no digest; those of opening a file or directory;
    /// otherwise as [`Wharf::blob`].
    pub async fn blob_at(&self, place: &Place) -> Result<OpenedBlob> {
        let local = match place {
            Place::Registry(reference) => {
                let digest = reference.digest();
                let digest = digest.ok_or_else(|| no_digest().target(reference))?;
                return self.blob(reference.repository(), digest, ..).await;
            }
            Place::Local(local) => local,
        };
        let Some(Choice::Selector(Selector::Digest(digest))) = &local.choice else {
            return Err(no_digest().target(&local.at));
        };
        let opened = async {
            let source = content::source(local, &self.options().places).await?;
            let size = source.blob_size(digest).await?;
            let descriptor = Descriptor::new(MediaType::OCTET_STREAM, digest.clone(), size);
            Ok(OpenedBlob {
                size: Some(size),
                bytes: source.blob(&descriptor).read().await?,
            })
        };
        opened
            .await
            .map_err(|error: Error| error.side(Side::Source))
    }
}

fn no_digest() -> Error {
    Error::new(
        ErrorKind::Invalid,
        "a blob is named by its digest: add @DIGEST",
    )
}

/// The first byte of a range, and the first one after it.
fn limits(range: &impl RangeBounds<u64>) -> Result<(u64, Option<u64>)> {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => Some(last.saturating_add(1)),
        Bound::Excluded(end) => Some(*end),
        Bound::Unbounded => None,
    };
    match end.is_none_or(|end| start < end) {
        true => Ok((start, end)),
        false => Err(Error::new(ErrorKind::Invalid, "the range is empty")),
    }
}

/// A read that continues after an interruption.
struct Reading {
    source: RemoteSource,
    digest: Digest,
    retry: RetryPolicy,
    /// The next byte.
    at: u64,
    /// The first byte that is not read, if there is one.
    end: Option<u64>,
    /// The size of the blob, if the registry stated it.
    size: Option<u64>,
    bytes: ByteStream,
    /// How often it was interrupted.
    breaks: u32,
    /// How often in a row it was interrupted without a byte.
    fruitless: u32,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            let error = match self.bytes.next().await {
                Some(Ok(chunk)) => {
                    self.at = self.at.saturating_add(chunk.len() as u64);
                    self.fruitless = 0;
                    return Ok(Some(chunk));
                }
                _ if self.is_over() => return Ok(None),
                // Without a size, only the end of the answer tells that the blob is complete.
                None if self.size.is_none() => return Ok(None),
                None => Error::new(
                    ErrorKind::Interrupted,
                    "blob is shorter than its stated size",
                )
                .transient(true)
                .target(&self.digest)
                .target(self.source.repository()),
                Some(Err(error)) => error,
            };
            self.breaks += 1;
            self.fruitless += 1;
            let most = self.retry.tries.saturating_mul(PROGRESS_FACTOR);
            if self.fruitless >= self.retry.tries || self.breaks >= most {
                return Err(error);
            }
            self.bytes = self.reopened(error).await?;
        }
    }

    /// The first byte that is not read, as far as that is known.
    fn limit(&self) -> Option<u64> {
        self.end.into_iter().chain(self.size).min()
    }

    fn is_over(&self) -> bool {
        self.limit().is_some_and(|limit| self.at >= limit)
    }

    /// Opens the rest, after the policy's wait for `error`.
    async fn reopened(&mut self, error: Error) -> Result<ByteStream> {
        let (source, digest, at, end) = (&self.source, &self.digest, self.at, self.limit());
        let mut broken = Some(error);
        let reopen = || {
            let broken = broken.take();
            async move {
                match broken {
                    Some(error) => Err(error),
                    None => source.blob_part(digest, at, end).await,
                }
            }
        };
        Ok(self.retry.run(reopen).await?.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_its_first_byte_and_the_first_one_after_it() {
        assert_eq!(limits(&(..)).unwrap(), (0, None));
        assert_eq!(limits(&(5..)).unwrap(), (5, None));
        assert_eq!(limits(&(5..=9)).unwrap(), (5, Some(10)));
        assert_eq!(limits(&(..512)).unwrap(), (0, Some(512)));
        assert_eq!(limits(&(5..5)).unwrap_err().kind(), ErrorKind::Invalid);
    }
}
