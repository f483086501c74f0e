//! The input of a layer: a stream, a file, a directory, or a function that makes the bytes.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use tokio::sync::oneshot;
use wharf_oci::{Algorithm, Compression, MediaType};

use super::files::{self, PlacedFile};
use super::pending::{DiffId, PendingLayer, Production};
use super::unpacked::{self, Content};
use super::{Family, Packing, TreeOptions, tree, windows};
use crate::blob::ByteStream;
use crate::rewind::taken;
use crate::sync::Lock;
use crate::verify::blocking;
use crate::{Error, ErrorKind, Result, file, verify};

type Opener = dyn Fn() -> BoxFuture<'static, Result<ByteStream>> + Send + Sync;

/// The input of a layer, or of another blob. Nothing is read before it is sent.
///
/// ```
/// # use wharf_core as wharf;
/// use wharf::layer::{Family, LayerInput, Packing, TreeOptions};
///
/// let input = LayerInput::directory("rootfs", TreeOptions::default());
/// let layer = input.tar(&Packing::default(), Family::Oci)?;
/// assert_eq!(layer.diff_id(), None, "it is learned while the layer is sent");
/// # Ok::<(), wharf::Error>(())
/// ```
#[derive(Clone)]
pub struct LayerInput {
    name: Arc<str>,
    bytes: Bytes,
    /// How many they are, if known.
    size: Option<u64>,
    /// Whether `bytes` are made of some that come once.
    comes_once: bool,
    content: Content,
}

/// The first bytes of an input.
pub(super) struct Beginning {
    pub(super) head: Vec<u8>,
    pub(super) input: LayerInput,
}

#[derive(Clone)]
enum Bytes {
    Again(Arc<Opener>),
    /// Taken by the first poll, not by the opening: a try that fails before it reads costs nothing.
    Once(Arc<Lock<Option<ByteStream>>>),
}

impl LayerInput {
    /// A stream, which can be read once: a retry is possible while its last 16 MiB suffice. `name`
    /// is for messages.
    pub fn stream(name: &str, stream: ByteStream) -> Self {
        LayerInput {
            name: name.into(),
            bytes: Bytes::Once(Arc::new(Lock::new(Some(stream)))),
            size: None,
            comes_once: false,
            content: Content::Any,
        }
    }

    /// A reader, which can be read once, on a separate thread.
    pub fn reader(name: &str, reader: impl Read + Send + 'static) -> Self {
        LayerInput::stream(name, file::reader(reader, name))
    }

    /// The bytes that `open` makes: from the beginning, and equal for each call.
    pub fn again<F>(name: &str, open: F) -> Self
    where
        F: Fn() -> BoxFuture<'static, Result<ByteStream>> + Send + Sync + 'static,
    {
        LayerInput {
            name: name.into(),
            bytes: Bytes::Again(Arc::new(open)),
            size: None,
            comes_once: false,
            content: Content::Any,
        }
    }

    /// A file, opened again for each try; a pipe or a device is read once.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none; [`ErrorKind::Invalid`] for a directory.
    pub async fn file(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let name = path.display().to_string();
        let place = path.clone();
        let metadata = blocking(move || std::fs::metadata(place)).await?;
        let metadata = metadata.map_err(|error| Error::io(&name, error))?;
        if metadata.is_dir() {
            return Err(Error::new(ErrorKind::Invalid, "is a directory").target(name));
        }
        let called = name.clone();
        let open = move || opened(path.clone(), called.clone()).boxed();
        if metadata.is_file() {
            return Ok(LayerInput {
                // Files of /proc have content and no length.
                size: Some(metadata.len()).filter(|length| *length > 0),
                ..LayerInput::again(&name, open)
            });
        }
        let stream = stream::once(open()).try_flatten().boxed();
        Ok(LayerInput::stream(&name, stream))
    }

    /// The tree below a directory, as a tar that depends on the tree and `options` only.
    pub fn directory(path: impl Into<PathBuf>, options: TreeOptions) -> Self {
        let path = path.into();
        let name = path.display().to_string();
        LayerInput::again(&name, move || {
            let stream = tree::tar(path.clone(), options.clone());
            async move { Ok(stream) }.boxed()
        })
    }

    /// Files and directories at their places, as a tar that depends on them and `options` only:
    /// entries are sorted, each path is there once, and its parents are before it. Of several files
    /// for one path the last counts. Everything is looked at now, and contents are read later.
    ///
    /// ```
    /// # use wharf_core as wharf;
    /// use wharf::layer::{LayerInput, Modes, PlacedFile, Times, TreeOptions};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let app = PlacedFile::new("target/app", "/usr/bin/app")?;
    /// let pages = PlacedFile::new("pages", "/srv/pages")?;
    /// let options = TreeOptions {
    ///     times: Times::Fixed(0),
    ///     modes: Modes::Usual,
    ///     ..TreeOptions::default()
    /// };
    /// let input = LayerInput::files(vec![app, pages], options).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Parents that no directory of `files` gives are 0755 and belong to root; `/tmp` and `/var/tmp`
    /// are 1777, and `/root` is 0700.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such file; [`ErrorKind::Unsupported`] for sockets, named
    /// pipes and devices; [`ErrorKind::Invalid`] for a path that is a file and a directory, and for
    /// names that mean whiteouts. In the stream, an error for each file that cannot be read, or
    /// changed since it was looked at. All name the path.
    pub async fn files(files: Vec<PlacedFile>, options: TreeOptions) -> Result<Self> {
        let name = files::name(&files);
        let tree = blocking(move || files::Tree::of(&files)).await??;
        let tree = Arc::new(tree);
        Ok(LayerInput::again(&name, move || {
            let stream = files::tar(Arc::clone(&tree), options.clone());
            async move { Ok(stream) }.boxed()
        }))
    }

    /// The same input, which must be a tar: if it begins as something else, its stream fails with
    /// [`ErrorKind::Invalid`] before its first byte; if it ends in the middle of an entry, with
    /// [`ErrorKind::Corrupt`]. For [`LayerInput::compressed`] this is said of what it decompresses
    /// to, and the stream fails instead of ending.
    #[must_use]
    pub fn only_tar(self) -> Self {
        let content = Content::Tar(Arc::clone(&self.name));
        LayerInput { content, ..self }
    }

    /// The same input, a tar that is plain or compressed, as the tar of a layer of Windows.
    pub(super) fn for_windows(self) -> Self {
        let (name, bytes) = (Arc::clone(&self.name), self.bytes);
        let again = Arc::new(bytes);
        let comes_once = matches!(*again, Bytes::Once(_));
        let input = LayerInput::again(&name.clone(), move || {
            let (bytes, name) = (Arc::clone(&again), Arc::clone(&name));
            async move { Ok(windows::repacked(bytes.open().await?, name)) }.boxed()
        });
        LayerInput {
            comes_once,
            ..input
        }
    }

    /// Its first bytes, `length` of them if there are as many, and the input with them.
    ///
    /// # Errors
    /// The input's error.
    pub(super) async fn begin(self, length: usize) -> Result<Beginning> {
        let mut stream = self.bytes.open().await?;
        let (mut head, mut held) = (Vec::with_capacity(length), Vec::new());
        while head.len() < length
            && let Some(chunk) = stream.next().await.transpose()?
        {
            head.extend(chunk.iter().take(length - head.len()));
            held.push(Ok(chunk));
        }
        let bytes = match self.bytes {
            Bytes::Again(open) => Bytes::Again(open),
            Bytes::Once(_) => {
                // The end is polled once: what follows it must not be.
                let ended = head.len() < length;
                let rest = match ended {
                    true => stream::empty().boxed(),
                    false => stream,
                };
                let whole = stream::iter(held).chain(rest).boxed();
                Bytes::Once(Arc::new(Lock::new(Some(whole))))
            }
        };
        let input = LayerInput { bytes, ..self };
        Ok(Beginning { head, input })
    }

    /// Its name in messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it can be read once only.
    pub(super) fn comes_once(&self) -> bool {
        self.comes_once || matches!(self.bytes, Bytes::Once(_))
    }

    /// A layer of this input, a tar, compressed on the way. What it is a tar of is not looked at;
    /// see [`LayerInput::only_tar`].
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if `family` has no such layers.
    pub fn tar(self, packing: &Packing, family: Family) -> Result<PendingLayer> {
        let media_type = family.layer(packing.compression())?;
        let (packing, size) = (packing.clone(), self.size);
        let content = self.content.clone();
        let layer = self.pending(media_type, move |stream| {
            let stream = content.check(stream);
            if packing == Packing::Plain {
                return (stream, DiffId::OfContent);
            }
            let (sender, receiver) = oneshot::channel();
            let stream = verify::learn(stream, Algorithm::Sha256, sender);
            (packing.pack(stream), DiffId::Learned(receiver))
        });
        Ok(layer.of_size(size))
    }

    /// A layer of this input, which is compressed already and sent as it is. It is decompressed in
    /// parallel to learn the diff id; in the stream, [`ErrorKind::Corrupt`] if that fails. What it is
    /// a tar of is not looked at; see [`LayerInput::only_tar`].
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if `family` has no such layers.
    pub fn compressed(self, compression: Compression, family: Family) -> Result<PendingLayer> {
        let media_type = family.layer(compression)?;
        Ok(self.compressed_as(compression, media_type))
    }

    /// As [`LayerInput::compressed`], of this media type.
    pub(super) fn compressed_as(
        self,
        compression: Compression,
        media_type: MediaType,
    ) -> PendingLayer {
        let content = self.content.clone();
        self.pending(media_type, move |stream| {
            let (sender, receiver) = oneshot::channel();
            let stream = unpacked::learn(stream, compression, content.clone(), sender);
            (stream, DiffId::Learned(receiver))
        })
    }

    /// A blob of this input as it is, of any media type. It has no diff id, so it cannot be a layer
    /// of a [`NewImage`](super::NewImage).
    pub fn blob(self, media_type: MediaType) -> PendingLayer {
        let content = self.content.clone();
        self.pending(media_type, move |stream| {
            (content.check(stream), DiffId::None)
        })
    }

    fn pending<F>(self, media_type: MediaType, make: F) -> PendingLayer
    where
        F: Fn(ByteStream) -> (ByteStream, DiffId) + Send + Sync + 'static,
    {
        let (make, bytes) = (Arc::new(make), self.bytes.clone());
        let comes_once = self.comes_once();
        PendingLayer::unknown(
            Arc::clone(&self.name),
            media_type,
            comes_once,
            move |read| {
                let (make, bytes) = (Arc::clone(&make), bytes.clone());
                async move {
                    let (stream, diff_id) = make(read.of(bytes.open().await?));
                    Ok(Production { stream, diff_id })
                }
                .boxed()
            },
        )
    }
}

impl Bytes {
    async fn open(&self) -> Result<ByteStream> {
        match self {
            Bytes::Again(open) => open().await,
            Bytes::Once(stream) => {
                let stream = Arc::clone(stream);
                let first = stream::once(async move { take(&stream) });
                Ok(first.try_flatten().boxed())
            }
        }
    }
}

/// The stream, for its first reader.
fn take(stream: &Lock<Option<ByteStream>>) -> Result<ByteStream> {
    stream.lock().take().ok_or_else(taken)
}

impl fmt::Debug for LayerInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayerInput")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The file at `path` from its beginning. Opening a pipe waits for its writer.
async fn opened(path: PathBuf, name: String) -> Result<ByteStream> {
    let file = blocking(move || File::open(path)).await?;
    let file = file.map_err(|error| Error::io(&name, error))?;
    Ok(file::reader(file, &name))
}
