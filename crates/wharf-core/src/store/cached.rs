//! A source with layers that are kept in a directory, and taken from there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, future, stream};
use wharf_oci::{Descriptor, Digest, Manifest, Selector, Tag};

use super::files::Region;
use super::new_file::NewFile;
use super::{Pulse, Source};
use crate::blob::{Blob, ByteStream};
use crate::verify::{self, Seen, blocking};
use crate::{Error, Result};

/// A source with layers that are kept in files of a directory, named by digest, and taken from
/// there when they are right. Everything else comes from the source.
///
/// A layer is kept once it was read whole in one go. It tries each read once, as
/// [`Source::raw_source`] does.
#[derive(Debug)]
pub struct Cached {
    source: Arc<dyn Source>,
    directory: PathBuf,
}

impl Cached {
    /// Keeps layers of `source` in `directory`, which is made if it is not there. Blocking.
    ///
    /// # Errors
    /// What the system says about the directory.
    pub fn new(source: Arc<dyn Source>, directory: impl Into<PathBuf>) -> Result<Self> {
        let directory = directory.into();
        let made = std::fs::create_dir_all(&directory);
        made.map_err(|error| Error::io(directory.display(), error))?;
        Ok(Cached { source, directory })
    }

    fn raw(&self) -> &dyn Source {
        self.source.raw_source().unwrap_or(self.source.as_ref())
    }
}

#[async_trait]
impl Source for Cached {
    async fn resolve(&self, at: &Selector) -> Result<Descriptor> {
        self.raw().resolve(at).await
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        self.raw().manifest(descriptor).await
    }

    fn blob(&self, descriptor: &Descriptor) -> Blob {
        let blob = self.raw().blob(descriptor);
        if !descriptor.media_type.is_layer() {
            return blob;
        }
        let place = self.directory.join(descriptor.digest.to_string());
        let inner = blob.clone();
        blob.opened_by(move |offset| {
            let (inner, place) = (inner.clone(), place.clone());
            async move {
                if let Some(kept) = kept(inner.descriptor(), &place).await {
                    return Ok(kept.open(offset));
                }
                let stream = inner.open(offset).await?;
                match offset {
                    0 => keeping(stream, inner.descriptor(), place).await,
                    _ => Ok(stream),
                }
            }
            .boxed()
        })
    }

    async fn tags(&self, after: Option<&Tag>, limit: usize) -> Result<Vec<Tag>> {
        self.raw().tags(after, limit).await
    }

    async fn blob_size(&self, digest: &Digest) -> Result<u64> {
        self.raw().blob_size(digest).await
    }

    async fn precheck(&self, descriptor: &Descriptor) -> Result<()> {
        self.raw().precheck(descriptor).await
    }

    async fn confirm(&self, descriptor: &Descriptor) -> Result<()> {
        self.raw().confirm(descriptor).await
    }

    fn pulse(&self) -> Option<Arc<Pulse>> {
        self.source.pulse()
    }

    fn place(&self) -> Option<String> {
        self.source.place()
    }

    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        self.raw().referrers(subject).await
    }
}

/// The kept file of a layer, if there is one and its bytes are right.
async fn kept(descriptor: &Descriptor, place: &Path) -> Option<Region> {
    let path = place.to_owned();
    let opened = blocking(move || {
        let file = std::fs::File::open(path)?;
        let length = file.metadata()?.len();
        std::io::Result::Ok((file, length))
    });
    let (file, length) = opened.await.ok()?.ok()?;
    let region = Region {
        file: Arc::new(file),
        name: place.display().to_string(),
        start: 0,
        length,
    };
    let checked = verify::checked(region.open(0), descriptor);
    let right = checked.try_for_each(|_| future::ready(Ok(()))).await;
    if let Err(error) = &right {
        tracing::debug!(%error, "kept layer is not used");
    }
    right.ok().map(|()| region)
}

/// A layer that is being kept.
struct Keeping {
    stream: ByteStream,
    /// `None` after the disk refused to keep it.
    file: Option<NewFile>,
    place: PathBuf,
}

/// The stream, which is also written to a file; the file gets its name once all of it is right.
async fn keeping(
    stream: ByteStream,
    descriptor: &Descriptor,
    place: PathBuf,
) -> Result<ByteStream> {
    let folder = place.parent().map(Path::to_owned).unwrap_or_default();
    let file = blocking(move || NewFile::create(&folder)).await??;
    let keeping = Keeping {
        stream: verify::continued(stream, descriptor, &Seen::default()),
        file: Some(file),
        place,
    };
    let chunks = stream::try_unfold(keeping, |mut keeping| async move {
        match keeping.stream.next().await.transpose()? {
            Some(chunk) => {
                keeping.write(chunk.clone()).await;
                Ok(Some((chunk, keeping)))
            }
            None => {
                keeping.publish().await;
                Ok(None)
            }
        }
    });
    Ok(chunks.boxed())
}

impl Keeping {
    /// A disk that is full costs the next run its layer, and this one nothing.
    async fn write(&mut self, chunk: Bytes) {
        let Some(mut file) = self.file.take() else {
            return;
        };
        let written = blocking(move || file.write(&chunk).map(|()| file)).await;
        match written.and_then(|written| written) {
            Ok(file) => self.file = Some(file),
            Err(error) => tracing::warn!(%error, "layer is not kept"),
        }
    }

    async fn publish(&mut self) {
        let (Some(file), place) = (self.file.take(), self.place.clone()) else {
            return;
        };
        let published = blocking(move || file.publish(&place)).await;
        if let Err(error) = published.and_then(|published| published) {
            tracing::warn!(%error, "layer is not kept");
        }
    }
}

#[cfg(test)]
mod tests {
    use wharf_oci::MediaType;

    use super::*;
    use crate::store::Memory;

    #[tokio::test]
    async fn a_layer_is_kept_and_taken_from_there_unless_it_is_damaged() {
        let directory = tempfile::tempdir().unwrap();
        let memory = Memory::new();
        let layer = memory.add_blob(MediaType::OCI_LAYER_GZIP, "layer");
        let config = memory.add_blob(MediaType::OCI_IMAGE_CONFIG, "config");
        let read = async |source: Memory, descriptor: &Descriptor| {
            let cached = Cached::new(Arc::new(source), directory.path()).unwrap();
            cached.blob(descriptor).read_all(99).await
        };
        assert_eq!(read(memory.clone(), &layer).await.unwrap(), "layer");
        assert_eq!(read(memory.clone(), &config).await.unwrap(), "config");
        let place = directory.path().join(layer.digest.to_string());
        assert_eq!(std::fs::read(&place).unwrap(), b"layer");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        assert_eq!(read(Memory::new(), &layer).await.unwrap(), "layer");
        std::fs::write(&place, "wrong").unwrap();
        read(Memory::new(), &layer).await.unwrap_err();
        assert_eq!(read(memory, &layer).await.unwrap(), "layer");
        assert_eq!(std::fs::read(&place).unwrap(), b"layer");
    }
}
