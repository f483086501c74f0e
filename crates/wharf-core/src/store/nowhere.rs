//! A store that keeps nothing but the last manifest: a copy into it makes an image without sending
//! it.

use std::sync::Arc;

use async_trait::async_trait;
use futures::{TryStreamExt, future};
use tokio::sync::oneshot;
use wharf_oci::{Algorithm, Descriptor, Manifest, MediaType, Selector};

use crate::blob::Blob;
use crate::intake::Intake;
use crate::store::{Names, Outcome, Source, Store};
use crate::sync::Lock;
use crate::{Error, ErrorKind, Result, verify};

/// A store that claims to have every blob, and drops what is made. A copy into it reads what it must
/// to learn the digests of an image that is not made yet, and no more.
///
/// ```
/// # use wharf_core as wharf;
/// use wharf::copy::{CopyOptions, Root, RootContent, copy};
/// use wharf::store::Nowhere;
///
/// # async fn digest(source: &dyn wharf::Source, content: RootContent) -> wharf::Result<()> {
/// let nowhere = Nowhere::default();
/// let root = Root { content, tags: Vec::new() };
/// copy(source, &nowhere, &[root], &CopyOptions::default()).await?;
/// println!("{}", nowhere.last_manifest().expect("the copy put it").digest());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Nowhere {
    last: Arc<Lock<Option<Manifest>>>,
}

impl Nowhere {
    /// The manifest that was put last.
    pub fn last_manifest(&self) -> Option<Manifest> {
        self.last.lock().clone()
    }
}

fn nothing() -> Error {
    Error::new(ErrorKind::NotFound, "nothing is kept here")
}

#[async_trait]
impl Source for Nowhere {
    async fn resolve(&self, at: &Selector) -> Result<Descriptor> {
        Err(nothing().target(at))
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        Err(nothing().target(&descriptor.digest))
    }

    fn blob(&self, descriptor: &Descriptor) -> Blob {
        let digest = descriptor.digest.clone();
        Blob::new(descriptor.clone(), move |_| {
            let error = nothing().target(&digest);
            Box::pin(future::ready(Err(error)))
        })
    }
}

#[async_trait]
impl Store for Nowhere {
    async fn contains(&self, descriptor: &Descriptor) -> Result<bool> {
        Ok(!descriptor.media_type.is_manifest())
    }

    async fn put_blob(&self, blob: &Blob) -> Result<Outcome> {
        drain(blob.read().await?).await?;
        Ok(Outcome::Written)
    }

    async fn ingest(&self, media_type: &MediaType, intake: Arc<dyn Intake>) -> Result<Descriptor> {
        let (learned, told) = oneshot::channel();
        let stream = intake.open(0).await?;
        drain(verify::learn(stream, Algorithm::Sha256, learned)).await?;
        let unread = |_| Error::new(ErrorKind::Cancelled, "content was not read to its end");
        let (digest, size) = told.await.map_err(unread)?;
        Ok(Descriptor::new(media_type.clone(), digest, size))
    }

    async fn put_manifest(&self, manifest: &Manifest, _: Names<'_>) -> Result<()> {
        *self.last.lock() = Some(manifest.clone());
        Ok(())
    }
}

async fn drain(stream: crate::blob::ByteStream) -> Result<()> {
    stream.try_for_each(|_| future::ready(Ok(()))).await
}
