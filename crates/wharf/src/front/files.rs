//! Files of images: lists, and the content of one.

use super::Wharf;
use crate::image::StoredFile;
use crate::place::OpenedSource;
use crate::rootfs::{self, FileEntry};
use crate::{Result, Side};

impl Wharf {
    /// The files of an opened image below `path`, which is among them, sorted by their paths, as a
    /// container would see them. `path` is in bytes, from the root on; an empty one means all. The
    /// image of an index is chosen as by [`Wharf::export`].
    ///
    /// ```no_run
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let image = wharf.open(&"registry.example/app:1".parse()?).await?;
    /// for file in wharf.files(&image, "/etc").await? {
    ///     println!("{:o} {}", file.mode, String::from_utf8_lossy(&file.path));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`rootfs::list`].
    pub async fn files(
        &self,
        opened: &OpenedSource,
        path: impl AsRef<[u8]>,
    ) -> Result<Vec<FileEntry>> {
        let layers = self.layers_in(opened).await?;
        let listed = rootfs::list(&layers, path.as_ref()).await;
        listed.map_err(|error| error.side(Side::Source))
    }

    /// One file of an opened image, as [`StoredImage::file`](crate::image::StoredImage::file) finds
    /// it. The image of an index is chosen as by [`Wharf::export`].
    ///
    /// ```no_run
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let image = wharf.open(&"docker-archive:saved.tar".parse()?).await?;
    /// let passwd = wharf.file(&image, "/etc/passwd").await?;
    /// println!("{}", String::from_utf8_lossy(&passwd.read_all(1 << 20).await?));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`StoredImage::file`](crate::image::StoredImage::file).
    pub async fn file(&self, opened: &OpenedSource, path: impl AsRef<[u8]>) -> Result<StoredFile> {
        let layers = self.layers_in(opened).await?;
        let spool = &self.options().places.spool_dir;
        let found = StoredFile::find(&layers, path.as_ref(), spool).await;
        found.map_err(|error| error.side(Side::Source))
    }
}
