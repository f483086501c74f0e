//! A lazy handle to bytes of known digest that can be opened any number of times.
//!
//! Retry opens it again, resume opens it at an offset, mount reads its origin and never opens it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream;
use futures::{FutureExt, StreamExt, TryStreamExt};
use wharf_oci::{Descriptor, Repository};

pub use crate::byte_stream::ByteStream;
use crate::verify;
use crate::{Error, ErrorKind, Result, Side};

type Opener = dyn Fn(u64) -> BoxFuture<'static, Result<ByteStream>> + Send + Sync;
type PartOpener = dyn Fn(u64, u64) -> BoxFuture<'static, Result<ByteStream>> + Send + Sync;
type Wrap = dyn Fn(u64, ByteStream) -> ByteStream + Send + Sync;

/// Content of known digest and size that is read only when it is opened.
#[derive(Clone)]
pub struct Blob {
    descriptor: Descriptor,
    origin: Option<Repository>,
    mountable: bool,
    /// The name of its place in messages; empty: none.
    name: Arc<str>,
    open: Arc<Opener>,
    /// How it is opened with a single try, if `open` tries several times.
    once: Option<Arc<Opener>>,
    /// How parts of it are opened, if its source gives some.
    parts: Option<Arc<PartOpener>>,
    /// What is applied to every stream, in order.
    wraps: Vec<Arc<Wrap>>,
}

impl Blob {
    /// A blob with the bytes that `open` returns for an offset in bytes.
    pub fn new<F>(descriptor: Descriptor, open: F) -> Self
    where
        F: Fn(u64) -> BoxFuture<'static, Result<ByteStream>> + Send + Sync + 'static,
    {
        Blob {
            descriptor,
            origin: None,
            mountable: true,
            name: Arc::default(),
            open: Arc::new(open),
            once: None,
            parts: None,
            wraps: Vec::new(),
        }
    }

    /// Adds how the bytes from an offset to another are opened, so that several parts can be read at
    /// once. A source that finds out that it has no parts fails with [`ErrorKind::Unsupported`].
    #[must_use]
    pub fn with_parts<F>(mut self, open: F) -> Self
    where
        F: Fn(u64, u64) -> BoxFuture<'static, Result<ByteStream>> + Send + Sync + 'static,
    {
        self.parts = Some(Arc::new(open));
        self
    }

    /// The same blob, to be read as a whole.
    pub(crate) fn without_parts(mut self) -> Self {
        self.parts = None;
        self
    }

    /// The same blob with the parts of another handle to it.
    pub(crate) fn with_parts_of(mut self, other: &Blob) -> Self {
        self.parts.clone_from(&other.parts);
        self.wraps.clone_from(&other.wraps);
        self
    }

    /// Whether its source may give parts.
    pub(crate) fn has_parts(&self) -> bool {
        self.parts.is_some()
    }

    /// The bytes from `begin` to before `end`, unchecked.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if its source gives no parts; otherwise as [`Blob::open`].
    pub(crate) async fn open_part(&self, begin: u64, end: u64) -> Result<ByteStream> {
        let Some(open) = &self.parts else {
            return Err(Error::new(ErrorKind::Unsupported, "comes as a whole only"));
        };
        let opened = open(begin, end).await;
        opened.map_err(|error| error.side(Side::Source))
    }

    /// A stream of the bytes behind those that were `seen`, from another place, as if it were of
    /// this blob: checked, and told of.
    pub(crate) fn checked_on(&self, stream: ByteStream, seen: &verify::Seen) -> ByteStream {
        let offset = seen.bytes();
        let wraps = self.wraps.iter();
        let stream = wraps.fold(stream, |stream, wrap| wrap(offset, stream));
        verify::blaming(&self.name, stream, |stream| {
            verify::continued(stream, &self.descriptor, seen)
        })
    }

    /// A blob held in memory.
    pub fn from_bytes(descriptor: Descriptor, bytes: Bytes) -> Self {
        Blob::new(descriptor, move |offset| {
            let start = usize::try_from(offset)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            let rest = bytes.slice(start..);
            async move { Ok(stream::once(async move { Ok(rest) }).boxed()) }.boxed()
        })
    }

    /// Names the repository of a registry that has the blob, so that another repository there can
    /// mount it (distribution-spec: "Mounting a blob from another repository").
    #[must_use]
    pub fn with_origin(mut self, origin: Repository) -> Self {
        self.origin = Some(origin);
        self
    }

    /// Forbids mounting it: a registry gets its bytes, whatever is known of its repositories.
    #[must_use]
    pub fn without_mount(mut self) -> Self {
        self.mountable = false;
        self
    }

    /// Sets the name of its place in messages: a file, or a file in an archive.
    #[must_use]
    pub fn with_name(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// Media type, digest and size.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// The repository that a registry can mount it from.
    pub fn origin(&self) -> Option<&Repository> {
        self.origin.as_ref()
    }

    /// Whether a registry may be asked to mount it instead of getting its bytes.
    pub fn may_be_mounted(&self) -> bool {
        self.mountable
    }

    /// The bytes from `offset` on, unchecked.
    ///
    /// # Errors
    /// The source's error when the content is missing or cannot be read; of [`Side::Source`].
    pub async fn open(&self, offset: u64) -> Result<ByteStream> {
        let opened = (self.open)(offset).await;
        opened.map_err(|error| error.side(Side::Source))
    }

    /// All bytes, checked as they flow. Yields the last chunk only if size and digest of the whole
    /// are right.
    ///
    /// # Errors
    /// As [`Blob::open`]; in the stream, [`ErrorKind::Corrupt`] if the bytes do not match the
    /// descriptor.
    pub async fn read(&self) -> Result<ByteStream> {
        let stream = self.open(0).await?;
        // Wrong bytes are an error of the source, wherever they were going.
        Ok(verify::blaming(&self.name, stream, |stream| {
            verify::checked(stream, &self.descriptor)
        }))
    }

    /// The bytes behind those that were `seen`, checked together with them as [`Blob::read`] does.
    ///
    /// # Errors
    /// As [`Blob::read`].
    pub(crate) async fn read_on(&self, seen: &verify::Seen) -> Result<ByteStream> {
        let stream = self.open(seen.bytes()).await?;
        Ok(verify::blaming(&self.name, stream, |stream| {
            verify::continued(stream, &self.descriptor, seen)
        }))
    }

    /// The bytes from `offset` on; only their number is checked.
    ///
    /// # Errors
    /// As [`Blob::open`]; in the stream, [`ErrorKind::Corrupt`] if there are fewer or more.
    #[doc(hidden)]
    pub async fn read_rest(&self, offset: u64) -> Result<ByteStream> {
        let Descriptor { size, digest, .. } = &self.descriptor;
        let (stream, rest) = (self.open(offset).await?, size.saturating_sub(offset));
        Ok(verify::blaming(&self.name, stream, |stream| {
            verify::sized(stream, rest, digest)
        }))
    }

    /// All bytes at once, checked; for small content.
    ///
    /// # Errors
    /// As [`Blob::read`]; [`ErrorKind::Invalid`] if the descriptor states more than `limit` bytes.
    pub async fn read_all(&self, limit: u64) -> Result<Bytes> {
        if self.descriptor.size > limit {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!(
                    "{} bytes, more than the {limit} allowed here",
                    self.descriptor.size
                ),
            )
            .target(&self.descriptor.digest));
        }
        let chunks: Vec<Bytes> = self.read().await?.try_collect().await?;
        Ok(chunks.concat().into())
    }

    /// The same blob, without retries of its own: for work that is tried again as a whole.
    #[must_use]
    pub fn single_tries(&self) -> Self {
        let once = self.once.as_ref().unwrap_or(&self.open);
        Blob {
            open: Arc::clone(once),
            once: None,
            ..self.clone()
        }
    }

    /// The same blob, opened by `open`, which tries several times.
    pub(crate) fn retried_by<F>(&self, open: F) -> Self
    where
        F: Fn(u64) -> BoxFuture<'static, Result<ByteStream>> + Send + Sync + 'static,
    {
        Blob {
            once: Some(Arc::clone(self.once.as_ref().unwrap_or(&self.open))),
            ..self.opened_by(open)
        }
    }

    /// The same blob, opened in another way.
    pub(crate) fn opened_by<F>(&self, open: F) -> Self
    where
        F: Fn(u64) -> BoxFuture<'static, Result<ByteStream>> + Send + Sync + 'static,
    {
        Blob {
            open: Arc::new(open),
            once: None,
            parts: None,
            wraps: Vec::new(),
            ..self.clone()
        }
    }

    /// The same blob, with `wrap` (offset, stream) applied to every stream.
    #[must_use]
    pub fn mapped<F>(&self, wrap: F) -> Self
    where
        F: Fn(u64, ByteStream) -> ByteStream + Send + Sync + 'static,
    {
        let wrap: Arc<Wrap> = Arc::new(wrap);
        let wrapped = |open: &Arc<Opener>| -> Arc<Opener> {
            let (open, wrap) = (Arc::clone(open), Arc::clone(&wrap));
            Arc::new(move |offset| {
                let (opening, wrap) = (open(offset), Arc::clone(&wrap));
                async move { Ok(wrap(offset, opening.await?)) }.boxed()
            })
        };
        Blob {
            open: wrapped(&self.open),
            once: self.once.as_ref().map(wrapped),
            wraps: self.wraps.iter().chain([&wrap]).cloned().collect(),
            ..self.clone()
        }
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blob")
            .field("descriptor", &self.descriptor)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use wharf_oci::{Digest, MediaType};

    use super::*;

    fn hello(claimed: &[u8]) -> Blob {
        let descriptor = Descriptor::new(
            MediaType::OCTET_STREAM,
            Digest::of(claimed),
            claimed.len() as u64,
        );
        Blob::from_bytes(descriptor, Bytes::from_static(b"hello"))
    }

    #[tokio::test]
    async fn opens_again_and_at_an_offset() {
        let blob = hello(b"hello");
        for (offset, expected) in [(0, "hello"), (2, "llo"), (5, ""), (9, "")] {
            let chunks: Vec<Bytes> = blob
                .open(offset)
                .await
                .unwrap()
                .try_collect()
                .await
                .unwrap();
            assert_eq!(chunks.concat(), expected.as_bytes());
        }
    }

    #[tokio::test]
    async fn refuses_bytes_that_are_not_what_was_promised() {
        assert_eq!(hello(b"hello").read_all(5).await.unwrap(), "hello");
        assert_eq!(
            hello(b"hallo").read_all(5).await.unwrap_err().kind(),
            ErrorKind::Corrupt
        );
        assert_eq!(
            hello(b"hello").read_all(4).await.unwrap_err().kind(),
            ErrorKind::Invalid
        );
    }
}
