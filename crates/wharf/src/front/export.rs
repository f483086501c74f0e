//! Merges the layers of images into one file system.

use std::path::Path;

use super::Wharf;
use crate::blob::{Blob, ByteStream};
use crate::image::StoredLayer;
use crate::place::OpenedSource;
use crate::rootfs::{LeftOut, RootFs};
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
        let layers = self.layers_in(opened).await?;
        match other_content(opened, &layers) {
            Some(only) => only.uncompressed().await,
            None => Ok(self.merged(&layers).await?.tar()),
        }
    }

    /// Writes the file system of an opened image into a directory, as [`RootFs::write_into`] does.
    /// The image of an index is chosen as by [`Wharf::export`].
    ///
    /// ```no_run
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let image = wharf.open(&"oci:app:1".parse()?).await?;
    /// let left_out = wharf.export_into(&image, "rootfs").await?;
    /// println!("left out: {left_out}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Wharf::export`] and [`RootFs::write_into`];
    /// [`ErrorKind::Unsupported`] for content that is no layer.
    pub async fn export_into(
        &self,
        opened: &OpenedSource,
        directory: impl AsRef<Path>,
    ) -> Result<LeftOut> {
        let layers = self.layers_in(opened).await?;
        if let Some(only) = other_content(opened, &layers) {
            let message = format!(
                "not a layer but {}, which has no files: write it to a file",
                only.descriptor().media_type
            );
            let error = Error::new(ErrorKind::Unsupported, message);
            return Err(error.target(&only.descriptor().digest).side(Side::Source));
        }
        let merged = self.merged(&layers).await?;
        merged.write_into(directory.as_ref()).await
    }

    async fn merged(&self, layers: &[StoredLayer]) -> Result<RootFs> {
        let blobs: Vec<Blob> = layers.iter().map(|layer| layer.blob().clone()).collect();
        RootFs::merge(&blobs, &self.options().places.spool_dir).await
    }
}

/// The only layer of an image, if its media type is not that of a layer.
fn other_content<'a>(opened: &OpenedSource, layers: &'a [StoredLayer]) -> Option<&'a StoredLayer> {
    match (&opened.content, layers) {
        (RootContent::Manifest(_), [only]) => {
            Some(only).filter(|only| !only.descriptor().media_type.is_layer())
        }
        _ => None,
    }
}
