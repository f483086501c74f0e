//! An image that a source has.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use wharf_oci::{
    Descriptor, Digest, ImageConfig, ImageManifest, MAX_CONFIG_SIZE, Manifest, Payload,
};

use super::stored_file::StoredFile;
use super::stored_layer::StoredLayer;
use crate::copy::RetryPolicy;
use crate::store::Source;
use crate::{Error, ErrorKind, Result, Side};

/// An image that a source has: an image manifest, to read what is below it.
///
/// ```
/// # use wharf_core as wharf;
/// use wharf::image::StoredImage;
///
/// # async fn example(image: StoredImage) -> wharf::Result<()> {
/// let config = image.config().await?;
/// println!("{}/{}", config.os, config.architecture);
/// for layer in image.layers().await? {
///     println!("{} {:?}", layer.descriptor().digest, layer.diff_id());
/// }
/// let release = image.file("/etc/os-release").await?;
/// println!("{}", String::from_utf8_lossy(&release.read_all(1 << 20).await?));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct StoredImage {
    source: Arc<dyn Source>,
    manifest: Manifest,
    image: Arc<ImageManifest>,
    retry: RetryPolicy,
    spool_dir: PathBuf,
}

impl StoredImage {
    /// The image of `manifest`. `source` has its content.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for an index, or another manifest without config and layers.
    pub fn new(source: Arc<dyn Source>, manifest: Manifest) -> Result<Self> {
        let Payload::Image(image) = manifest.payload() else {
            let message = format!("not an image but {}", manifest.media_type());
            return Err(Error::new(ErrorKind::Unsupported, message).target(manifest.digest()));
        };
        Ok(StoredImage {
            image: Arc::new(image.clone()),
            source,
            manifest,
            retry: RetryPolicy::default(),
            spool_dir: "/tmp".into(),
        })
    }

    /// Sets how often an interrupted read is tried again.
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Sets the directory for temporary files, `/tmp` by default.
    #[must_use]
    pub fn spool_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.spool_dir = directory.into();
        self
    }

    /// The source that has its content.
    pub fn source(&self) -> &Arc<dyn Source> {
        &self.source
    }

    /// Its manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Media type, digest and size of its manifest.
    pub fn descriptor(&self) -> &Descriptor {
        self.manifest.descriptor()
    }

    /// Its parsed config.
    ///
    /// # Errors
    /// As [`StoredImage::config_bytes`]; [`ErrorKind::Invalid`] if it is not an image's config.
    pub async fn config(&self) -> Result<ImageConfig> {
        let parsed = ImageConfig::parse(&self.config_bytes().await?);
        let digest = &self.image.config.digest;
        parsed.map_err(|error| Error::from(error).target(digest).side(Side::Source))
    }

    /// Its parsed manifest.
    pub(super) fn image(&self) -> &ImageManifest {
        &self.image
    }

    /// How often an interrupted read is tried again.
    pub(super) fn policy(&self) -> RetryPolicy {
        self.retry
    }

    /// Whether its config is that of an image; an artifact has another.
    pub(super) fn is_runnable(&self) -> bool {
        self.image.config.media_type.is_config()
    }

    /// Media type, digest and size of its config.
    pub fn config_descriptor(&self) -> &Descriptor {
        &self.image.config
    }

    /// The exact bytes of its config.
    ///
    /// # Errors
    /// The source's error; [`ErrorKind::Corrupt`] for bytes of another digest.
    pub async fn config_bytes(&self) -> Result<Bytes> {
        let blob = self.retry.reading(&self.source.blob(&self.image.config));
        blob.read_all(MAX_CONFIG_SIZE).await
    }

    /// Its layers, the lowest first, with the diff ids of the config.
    ///
    /// # Errors
    /// As [`StoredImage::config`]; [`ErrorKind::Corrupt`] if the config has another number of
    /// layers. The layers of an artifact have no diff ids; its config is not read.
    pub async fn layers(&self) -> Result<Vec<StoredLayer>> {
        let config = match self.is_runnable() {
            true => Some(self.config().await?),
            false => None,
        };
        self.layers_of(config.as_ref())
    }

    /// Its layers, with the diff ids of this config.
    pub(super) fn layers_of(&self, config: Option<&ImageConfig>) -> Result<Vec<StoredLayer>> {
        let layers = &self.image.layers;
        let diff_ids: Vec<Option<Digest>> = match config {
            Some(config) => config.rootfs.diff_ids.iter().cloned().map(Some).collect(),
            None => vec![None; layers.len()],
        };
        if diff_ids.len() != layers.len() {
            let (there, stated) = (layers.len(), diff_ids.len());
            let message = format!("{there} layers, but the config states {stated}");
            let error = Error::new(ErrorKind::Corrupt, message);
            return Err(error.target(self.manifest.digest()).side(Side::Source));
        }
        let layers = layers.iter().zip(diff_ids);
        let stored = layers.map(|(layer, diff_id)| {
            StoredLayer::new(&self.source.blob(layer), diff_id, self.retry)
        });
        Ok(stored.collect())
    }

    /// One file, as it is with all layers applied (see [`crate::rootfs`]). Links are followed within
    /// the image.
    ///
    /// Reads whole layers from the top until those below cannot change the answer, and the layer of
    /// the file again where only lower ones tell which file it is. The file is given only after its
    /// layer was checked to the end.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the image has no such file, [`ErrorKind::Invalid`] if it is a
    /// directory or a device, leads through too many links, or is below an entry that cannot be in a
    /// file system; the errors of [`StoredLayer::uncompressed`].
    pub async fn file(&self, path: impl AsRef<[u8]>) -> Result<StoredFile> {
        let layers = self.layers().await?;
        let found = StoredFile::find(&layers, path.as_ref(), &self.spool_dir).await;
        found.map_err(|error| error.target(self.manifest.digest()).side(Side::Source))
    }
}
