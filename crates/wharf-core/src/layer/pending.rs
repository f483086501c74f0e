//! A layer that has no digest until it was sent once.
//!
//! The pass that sends it also learns its digest and size, and its diff id unless that is known.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::oneshot;
use wharf_oci::{Descriptor, Digest, MediaType};

use super::read_count::ReadCount;
use crate::blob::{Blob, ByteStream};
use crate::rewind::skipped;
use crate::{Error, ErrorKind, Result};

type Producer = dyn Fn(ReadCount) -> BoxFuture<'static, Result<Production>> + Send + Sync;
type Learned = dyn Fn(&Descriptor) + Send + Sync;

/// Identifies a pending layer: by diff id if known, so that equal layers are made once. Otherwise a
/// layer equals only its clones.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LayerKey(Key);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    DiffId(Digest),
    Serial(u64),
}

impl LayerKey {
    fn serial() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        LayerKey(Key::Serial(NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    /// The diff id, if the layer is identified by it.
    pub fn diff_id(&self) -> Option<&Digest> {
        match &self.0 {
            Key::DiffId(diff_id) => Some(diff_id),
            Key::Serial(_) => None,
        }
    }
}

/// The diff id, or a number that is unique in this process: `layer-1`.
impl fmt::Display for LayerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Key::DiffId(diff_id) => diff_id.fmt(f),
            Key::Serial(serial) => write!(f, "layer-{serial}"),
        }
    }
}

/// A layer, or another blob, that has no digest until it was sent once. Cheap to clone.
#[derive(Clone)]
pub struct PendingLayer {
    key: LayerKey,
    name: Arc<str>,
    size: Option<u64>,
    media_type: MediaType,
    produce: Arc<Producer>,
    /// Whether its bytes come from a stream that gives them once.
    comes_once: bool,
    learned: Option<Arc<Learned>>,
    identity: Option<Digest>,
    tar: Option<Arc<Blob>>,
}

impl PendingLayer {
    /// A layer of `media_type` with an uncompressed tar of digest `diff_id` and `size` bytes. Each
    /// call of `produce` starts making its bytes from the beginning.
    pub fn new<F>(diff_id: Digest, size: u64, media_type: MediaType, produce: F) -> Self
    where
        F: Fn() -> BoxFuture<'static, Result<ByteStream>> + Send + Sync + 'static,
    {
        PendingLayer::counted(diff_id, size, media_type, move |_| produce())
    }

    /// The same, with a count of the bytes of the tar that are read.
    pub(crate) fn counted<F>(diff_id: Digest, size: u64, media_type: MediaType, produce: F) -> Self
    where
        F: Fn(ReadCount) -> BoxFuture<'static, Result<ByteStream>> + Send + Sync + 'static,
    {
        let known = diff_id.clone();
        let produce = move |read| {
            let (starting, known) = (produce(read), known.clone());
            async move {
                Ok(Production {
                    stream: starting.await?,
                    diff_id: DiffId::Known(known),
                })
            }
            .boxed()
        };
        PendingLayer {
            name: diff_id.to_string().into(),
            key: LayerKey(Key::DiffId(diff_id)),
            size: Some(size),
            media_type,
            produce: Arc::new(produce),
            comes_once: false,
            learned: None,
            identity: None,
            tar: None,
        }
    }

    /// A layer of which nothing is known; `comes_once` says that `produce` can give its bytes once.
    pub(super) fn unknown<F>(
        name: Arc<str>,
        media_type: MediaType,
        comes_once: bool,
        produce: F,
    ) -> Self
    where
        F: Fn(ReadCount) -> BoxFuture<'static, Result<Production>> + Send + Sync + 'static,
    {
        PendingLayer {
            key: LayerKey::serial(),
            name,
            size: None,
            media_type,
            produce: Arc::new(produce),
            comes_once,
            learned: None,
            identity: None,
            tar: None,
        }
    }

    /// The same, with this many bytes of tar.
    pub(crate) fn of_size(mut self, size: Option<u64>) -> Self {
        self.size = size;
        self
    }

    /// Calls `learned` with the descriptor once the layer is in a store; for a memory of made
    /// layers.
    #[must_use]
    pub fn on_learned(mut self, learned: impl Fn(&Descriptor) + Send + Sync + 'static) -> Self {
        self.learned = Some(Arc::new(learned));
        self
    }

    /// Names the layer's bytes exactly before they are made. A later process that makes the same
    /// layer then continues an interrupted upload of it.
    #[must_use]
    pub fn with_identity(mut self, identity: Digest) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Adds its uncompressed tar, to be read without making the layer.
    #[must_use]
    pub fn with_tar(mut self, tar: Blob) -> Self {
        self.tar = Some(Arc::new(tar));
        self
    }

    /// Its uncompressed tar, where that can be read any number of times.
    pub fn tar(&self) -> Option<&Blob> {
        self.tar.as_deref()
    }

    /// The digest that identifies its bytes in every process, if any.
    pub fn identity(&self) -> Option<&Digest> {
        self.identity.as_ref()
    }

    /// The key that identifies it among layers.
    pub fn key(&self) -> &LayerKey {
        &self.key
    }

    /// Its name in messages: its input, or its diff id.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Digest of the uncompressed tar (image-spec: "Layer DiffID"), if known beforehand.
    pub fn diff_id(&self) -> Option<&Digest> {
        self.key.diff_id()
    }

    /// Bytes of the uncompressed tar, if known beforehand.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// The media type of the made layer.
    pub fn media_type(&self) -> &MediaType {
        &self.media_type
    }

    /// Whether its bytes come from a stream that gives them once.
    pub(crate) fn comes_once(&self) -> bool {
        self.comes_once
    }

    /// Starts making the layer's bytes, from the beginning.
    ///
    /// # Errors
    /// The producer's error when it cannot start; in the stream, [`ErrorKind::Unsupported`] if the
    /// bytes come once and are gone.
    pub async fn open(&self) -> Result<ByteStream> {
        Ok(self.start(ReadCount::default()).await?.stream)
    }

    /// Starts making the layer's bytes, and counts what is read for them.
    pub(crate) async fn start(&self, read: ReadCount) -> Result<Production> {
        (self.produce)(read).await
    }

    /// The layer as a blob that makes its bytes again, after it became `descriptor`.
    pub(crate) fn again(&self, descriptor: &Descriptor) -> Blob {
        let layer = self.clone();
        let blob = Blob::new(descriptor.clone(), move |offset| {
            let layer = layer.clone();
            async move { Ok(skipped(layer.open().await?, offset)) }.boxed()
        });
        blob.with_name(self.name())
    }

    pub(crate) fn tell(&self, descriptor: &Descriptor) {
        if let Some(learned) = &self.learned {
            learned(descriptor);
        }
    }
}

impl fmt::Debug for PendingLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingLayer")
            .field("name", &self.name)
            .field("media_type", &self.media_type)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// A layer that was made and sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeLayer {
    /// The descriptor of the bytes sent.
    pub descriptor: Descriptor,
    /// Digest of the uncompressed tar; `None` for a blob that is not a layer.
    pub diff_id: Option<Digest>,
}

/// One making of a layer: its bytes, and the source of its diff id.
pub(crate) struct Production {
    pub(crate) stream: ByteStream,
    pub(super) diff_id: DiffId,
}

/// The source of a diff id.
pub(super) enum DiffId {
    /// Known from the start.
    Known(Digest),
    /// The layer is not compressed: its digest is the diff id.
    OfContent,
    /// Learned when the stream has ended.
    Learned(oneshot::Receiver<(Digest, u64)>),
    /// None: the blob is not a layer.
    None,
}

impl Production {
    /// Splits off the stream. The rest knows the diff id once the stream was read to its end.
    pub(crate) fn split(self) -> (ByteStream, Diff) {
        (self.stream, Diff(self.diff_id))
    }
}

/// A [`Production`] without its stream.
pub(crate) struct Diff(DiffId);

impl Diff {
    /// The made layer, given the descriptor of the stored stream.
    pub(crate) async fn of(self, descriptor: Descriptor) -> Result<MadeLayer> {
        let diff_id = match self.0 {
            DiffId::Known(diff_id) => Some(diff_id),
            DiffId::OfContent => Some(descriptor.digest.clone()),
            DiffId::Learned(learned) => {
                let unread = |_| {
                    let message = "the store stopped before the end of the layer";
                    Error::new(ErrorKind::Rejected, message)
                };
                Some(learned.await.map_err(unread)?.0)
            }
            DiffId::None => None,
        };
        Ok(MadeLayer {
            descriptor,
            diff_id,
        })
    }
}
