//! Merges the layers of images into one file system.

use super::Wharf;
use crate::blob::{Blob, ByteStream};
use crate::place::OpenedSource;
use crate::rootfs::RootFs;
use crate::{Result, RootContent};

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
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if an index has no image for the platform;
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for content that is no image; as [`RootFs::merge`]. The stream
    /// fails where a layer cannot be read again.
    pub async fn export(&self, opened: &OpenedSource) -> Result<ByteStream> {
        let layers = self.layers_in(opened).await?;
        if let (RootContent::Manifest(_), [only]) = (&opened.content, layers.as_slice())
            && !only.descriptor().media_type.is_layer()
        {
            return only.uncompressed().await;
        }
        let layers: Vec<Blob> = layers.iter().map(|layer| layer.blob().clone()).collect();
        let spool = &self.options().places.spool_dir;
        Ok(RootFs::merge(&layers, spool).await?.tar())
    }
}
