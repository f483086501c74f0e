//! Merges the layers of images into one file system.

use super::Wharf;
use crate::blob::{Blob, ByteStream};
use crate::draft::DraftLayer;
use crate::place::OpenedSource;
use crate::place::platform::usual;
use crate::rootfs::RootFs;
use crate::{Error, ErrorKind, Result, RootContent, Side};

impl Wharf {
    /// The file system of an opened image as a tar, as a container would see it: whiteouts are
    /// applied, and each path is there once. Of an index it is the image for the platform of the
    /// options, or the only one there is, or that for linux/amd64.
    ///
    /// Content that is no layer, such as that of an artifact with one blob, is the stream itself,
    /// uncompressed. The layers of a registry are kept in temporary files, because they are read
    /// twice.
    ///
    /// ```no_run
    /// use futures::TryStreamExt;
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let image = wharf.open(&"registry.example/app:1".parse()?).await?;
    /// let tar: Vec<_> = wharf.export(&image).await?.try_collect().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if an index has no image for the platform;
    /// [`ErrorKind::Unsupported`] for content that is no image; as [`RootFs::merge`]. The stream
    /// fails where a layer cannot be read again.
    pub async fn export(&self, opened: &OpenedSource) -> Result<ByteStream> {
        let layers = match &opened.content {
            RootContent::Manifest(_) => {
                let image = self.image_in_or(opened, Some(&usual())).await?;
                let layers = image.layers().await?;
                if let [only] = layers.as_slice()
                    && !only.descriptor().media_type.is_layer()
                {
                    return only.uncompressed().await;
                }
                layers.iter().map(|layer| layer.blob().clone()).collect()
            }
            RootContent::Draft(draft) => {
                let layers = draft.layers.iter();
                let blobs: Result<Vec<Blob>> = layers.map(|layer| tar_of(layer, opened)).collect();
                blobs.map_err(|error| error.side(Side::Source))?
            }
        };
        let spool = &self.options().places.spool_dir;
        Ok(RootFs::merge(&layers, spool).await?.tar())
    }
}

/// The tar of a layer of a draft.
fn tar_of(layer: &DraftLayer, opened: &OpenedSource) -> Result<Blob> {
    let pending = match layer {
        DraftLayer::Stored(descriptor) => return Ok(opened.source.blob(descriptor)),
        DraftLayer::Recalled(recalled) => &recalled.layer,
        DraftLayer::Pending(pending) => pending,
    };
    pending.tar().cloned().ok_or_else(|| {
        let message = "this layer is made while it is sent, and cannot be read before";
        Error::new(ErrorKind::Unsupported, message).target(pending.name())
    })
}
