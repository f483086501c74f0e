//! The merge of layers as a stream.

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use tokio::runtime::Handle;

use super::acts::{self, Acts};
use super::seen::Seen;
use super::tree::{Base, Tree};
use super::{LeftOut, head, layer};
use crate::blob::{Blob, ByteStream};
use crate::layer::pipe;
use crate::store::archive::peel;
use crate::stream_reader::{StreamReader, read_by};
use crate::{Error, Result, Side, file, spool};

/// Layers that are read at a time.
pub(super) const AT_ONCE: usize = 3;

/// The file system of an image. Made of its layers by [`RootFs::merge`].
pub struct RootFs {
    layers: Vec<(Blob, Acts)>,
}

impl RootFs {
    /// Reads all layers, the lowest first, and finds what is left of each. Their digests are
    /// checked. Layers may be compressed with gzip, zstd, xz or bzip2, whatever their media types.
    ///
    /// The layers of a registry are kept in temporary files without names on the file system of
    /// `spool`, because they are read twice.
    ///
    /// # Errors
    /// Of a layer, with its digest: [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) where its
    /// bytes are wrong or no tar, [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) where an entry
    /// cannot be in a file system, [`ErrorKind::Refused`](crate::ErrorKind::Refused) where it
    /// expands out of proportion; what reading it says.
    pub async fn merge(layers: &[Blob], spool: &Path) -> Result<RootFs> {
        let reading = layers.iter().map(|blob| async move {
            let read = read(blob, spool).await;
            read.map_err(|error| named(blob, error))
        });
        // Collected, because otherwise the compiler does not see that this is `Send`
        // (rust-lang/rust#102211).
        let reading: Vec<_> = reading.collect();
        let mut reading = stream::iter(reading).buffered(AT_ONCE);
        let (mut tree, mut kept) = (Tree::upon(Base::Nothing), Vec::new());
        while let Some((blob, seen)) = reading.try_next().await? {
            tree.apply(&seen).map_err(|error| named(&blob, error))?;
            kept.push(blob);
        }
        let layers = kept.into_iter().zip(acts::acts(&tree)).collect();
        Ok(RootFs { layers })
    }

    /// The file system as a tar: layers from the top down, entries in the order of their layer, each
    /// path once, without whiteouts. A hard link follows what it is linked to.
    ///
    /// The stream fails where a layer cannot be read again.
    pub fn tar(&self) -> ByteStream {
        let layers: Vec<(Blob, Acts)> = self.layers.clone();
        let opened = async move {
            let runtime = Handle::current();
            pipe::written_by(move |pipe| {
                for (blob, acts) in layers.iter().rev().filter(|(_, acts)| !acts.is_empty()) {
                    let written = runtime.block_on(blob.read()).and_then(|stream| {
                        let reader = StreamReader::new(stream, runtime.clone());
                        layer::write(unpacked(reader)?, acts, pipe)
                    });
                    written.map_err(|error| named(blob, error))?;
                }
                head::end(pipe)
            })
        };
        stream::once(opened).flatten().boxed()
    }
}

impl RootFs {
    /// Writes the file system into `directory`, which is made, or must be empty. Nothing appears there
    /// before all is written, and nothing is left of it after a failure. No name and no link leads
    /// out of it: the kernel resolves names strictly below it.
    ///
    /// Owners, devices and extended attributes are set as far as this user may; returns how many were
    /// left out.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if `directory` is not empty; as
    /// [`RootFs::tar`]; the system's errors, with the name of the entry;
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) on other systems than Linux.
    pub async fn write_into(&self, directory: &Path) -> Result<LeftOut> {
        #[cfg(target_os = "linux")]
        {
            super::unpack::into(self.tar(), directory).await
        }
        #[cfg(not(target_os = "linux"))]
        {
            let message = "a file system is written into a directory only on Linux";
            let error = crate::Error::new(crate::ErrorKind::Unsupported, message);
            Err(error.target(directory.display()))
        }
    }
}

impl fmt::Debug for RootFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layers = self.layers.iter().map(|(blob, _)| blob);
        f.debug_list().entries(layers).finish()
    }
}

/// Lists a layer. Returns it in a form that can be read again without a request.
async fn read(blob: &Blob, spool: &Path) -> Result<(Blob, Vec<Seen>)> {
    let blob = match blob.origin() {
        Some(_) => kept(blob, spool).await?,
        None => blob.clone(),
    };
    let stream = blob.read().await?;
    let listed = read_by(stream, |reader| layer::list(unpacked(reader)?)).await?;
    Ok((blob, listed))
}

/// The blob in a temporary file.
async fn kept(blob: &Blob, spool: &Path) -> Result<Blob> {
    let kept = spool::stream(blob.read().await?, spool).await?;
    let (file, length) = (Arc::new(kept.file), kept.length);
    let name = blob.descriptor().digest.to_string();
    Ok(Blob::new(blob.descriptor().clone(), move |offset| {
        let (offset, file) = (offset.min(length), Arc::clone(&file));
        let stream = file::region(file, &name, offset, length - offset);
        Box::pin(async move { Ok(stream) })
    }))
}

/// The tar of a layer, whatever it is compressed with. An empty layer is an empty tar.
fn unpacked(stream: StreamReader) -> Result<Box<dyn Read + Send>> {
    peel(Box::new(stream), "content")
}

fn named(blob: &Blob, error: Error) -> Error {
    let layer = format!("layer {}", blob.descriptor().digest);
    error.target(layer).side(Side::Source).in_vain()
}

#[cfg(test)]
mod tests;
