//! Fills a session: bytes are received, hashed and written at the same time.
//!
//! The hash state is saved with the session, so another request, or process, reads again only the
//! bytes that were written after it.

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use wharf_core::Result;
use wharf_core::blob::ByteStream;
use wharf_core::verify::blocking;
use wharf_oci::{Algorithm, Digest, Hasher};

use crate::driver::{Key, OpenSession};
use crate::share::Share;

/// An open session, and the hash of all its bytes.
pub(super) struct Filling {
    open: Box<dyn OpenSession>,
    hasher: Hasher,
    /// How many bytes the saved state covers.
    saved: u64,
    /// The size of a batch.
    share: Share,
    /// The hash when it was opened.
    begun: Hasher,
}

/// A request that ends saves the state after this many new bytes: hashing fewer again takes less
/// time than flushing them.
const WORTH_SAVING: u64 = 1 << 20;
/// While bytes arrive, the state is saved each time after this many: a process may die at any time.
const SAVE_EVERY: u64 = 64 << 20;

impl Filling {
    /// Continues a session at its end. `algorithm` is the hash to use if nothing was hashed yet.
    pub(super) async fn open(
        open: Box<dyn OpenSession>,
        algorithm: Algorithm,
        share: Share,
    ) -> Result<Self> {
        // If the state cannot be used, the bytes are hashed again.
        let saved = open.state().and_then(|state| Hasher::restore(state).ok());
        let saved = saved.filter(|saved| saved.length() <= open.length());
        let hasher = saved.unwrap_or_else(|| Hasher::new(algorithm));
        let saved = hasher.length();
        let hasher = hash_rest(&*open, hasher).await?;
        Ok(Filling {
            open,
            begun: hasher.clone(),
            hasher,
            saved,
            share,
        })
    }

    /// How many bytes the session has.
    pub(super) fn length(&self) -> u64 {
        self.open.length()
    }

    /// Writes all of `bytes`; those before an error are written.
    pub(super) async fn fill(&mut self, mut bytes: ByteStream) -> Result<()> {
        let mut batch = Batch::gather(&mut bytes, self.share.bytes()).await;
        loop {
            let hash = hash(self.hasher.clone(), batch.bytes.clone());
            let write = self.open.write(vec![batch.bytes]);
            let next = async {
                match batch.end {
                    None => Ok(Batch::gather(&mut bytes, self.share.bytes()).await),
                    Some(end) => Err(end),
                }
            };
            let (written, hashed, next) = tokio::join!(write, hash, next);
            written?;
            self.hasher = hashed?;
            batch = match next {
                Ok(batch) => batch,
                Err(end) => return end,
            };
            self.save_after(SAVE_EVERY).await?;
        }
    }

    /// Saves the hash state, if that is worth the time.
    pub(super) async fn save(&mut self) -> Result<()> {
        self.save_after(WORTH_SAVING).await
    }

    /// Drops the bytes that were written since it was opened.
    pub(super) async fn undo(&mut self) -> Result<()> {
        if self.open.length() > self.begun.length() {
            self.open.truncate(self.begun.length()).await?;
            self.hasher = self.begun.clone();
            self.saved = 0;
        }
        self.save().await
    }

    async fn save_after(&mut self, bytes: u64) -> Result<()> {
        let length = self.hasher.length();
        if length.saturating_sub(self.saved) < bytes {
            return Ok(());
        }
        self.open.save(self.hasher.save().into()).await?;
        self.saved = length;
        Ok(())
    }

    /// The digest of all bytes. They are read again only if they were hashed with another
    /// algorithm.
    pub(super) async fn digest(&mut self, algorithm: Algorithm) -> Result<Digest> {
        if self.hasher.algorithm() != algorithm {
            self.hasher = hash_rest(&*self.open, Hasher::new(algorithm)).await?;
        }
        Ok(self.hasher.clone().finish())
    }

    /// Makes the bytes the content of their digest.
    pub(super) async fn finish(self, digest: &Digest) -> Result<()> {
        self.open.finish(&Key::Content(digest.clone())).await
    }
}

async fn hash_rest(open: &dyn OpenSession, mut hasher: Hasher) -> Result<Hasher> {
    if hasher.length() == open.length() {
        return Ok(hasher);
    }
    let mut bytes = open.read(hasher.length()).await?;
    while let Some(chunk) = bytes.next().await.transpose()? {
        hasher = hash(hasher, chunk).await?;
    }
    Ok(hasher)
}

async fn hash(mut hasher: Hasher, bytes: Bytes) -> Result<Hasher> {
    blocking(move || {
        hasher.update(&bytes);
        hasher
    })
    .await
}

/// About a share of bytes of a stream, so that small pieces cause few switches to another thread.
struct Batch {
    bytes: Bytes,
    end: Option<Result<()>>,
}

impl Batch {
    async fn gather(stream: &mut ByteStream, size: usize) -> Self {
        let mut gathered = BytesMut::new();
        loop {
            let end = match stream.next().await {
                // A piece may keep a much larger buffer of the connection alive, so small ones are
                // copied.
                Some(Ok(chunk)) if gathered.is_empty() && chunk.len() >= size / 2 => {
                    return Batch {
                        bytes: chunk,
                        end: None,
                    };
                }
                Some(Ok(chunk)) => {
                    gathered.extend_from_slice(&chunk);
                    if gathered.len() < size {
                        continue;
                    }
                    None
                }
                Some(Err(error)) => Some(Err(error)),
                None => Some(Ok(())),
            };
            return Batch {
                bytes: gathered.freeze(),
                end,
            };
        }
    }
}
