//! Opens images to read what is in them.

use std::sync::Arc;

use wharf_oci::{Descriptor, Index, Manifest, Payload, Platform, Reference};

use super::Wharf;
use crate::image::{self, StoredImage};
use crate::place::platform::usual;
use crate::place::{OpenedSource, PlatformChoice, platform};
use crate::store::Source;
use crate::{Error, ErrorKind, Result, RootContent, Side};

impl Wharf {
    /// The image that `at` names, to read its config, its layers and single files. For an index it
    /// is the image for the platform of the options, or the only one there is.
    ///
    /// ```no_run
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let image = wharf.image(&"registry.example/app:1".parse()?).await?;
    /// for layer in image.layers().await? {
    ///     println!("{}", layer.descriptor().digest);
    /// }
    /// let passwd = image.file("/etc/passwd").await?.read_all(1 << 20).await?;
    /// println!("{}", String::from_utf8_lossy(&passwd));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Ambiguous`] if `at` names an index of several images and the options name no
    /// platform; [`ErrorKind::Unsupported`] if it names no image; otherwise as [`Wharf::manifest`].
    pub async fn image(&self, at: &Reference) -> Result<StoredImage> {
        self.image_of(at, &self.options().places.platform).await
    }

    /// The image that `at` has for a platform, as [`Wharf::image`] opens it.
    ///
    /// ```no_run
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let at = "registry.example/app:1".parse()?;
    /// let image = wharf.image_for(&at, &"linux/arm64".parse()?).await?;
    /// println!("{:?}", image.config().await?.config);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none for the platform; otherwise as [`Wharf::image`].
    pub async fn image_for(&self, at: &Reference, platform: &Platform) -> Result<StoredImage> {
        self.image_of(at, &platform.clone().into()).await
    }

    /// The image of an opened source, for example of a layout or an archive, as [`Wharf::image`]
    /// opens it.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if its layers are made while they are copied, as those of some
    /// docker archives are; otherwise as [`Wharf::image`].
    pub async fn image_in(&self, opened: &OpenedSource) -> Result<StoredImage> {
        self.image_in_or(opened, None).await
    }

    /// As [`Wharf::image_in`]; of an index of several images it is the one for `usual`, if given.
    pub(super) async fn image_in_or(
        &self,
        opened: &OpenedSource,
        usual: Option<&Platform>,
    ) -> Result<StoredImage> {
        if !matches!(opened.content, RootContent::Manifest(_)) {
            let message = "the layers of this image are made while it is copied; copy it first";
            return Err(Error::new(ErrorKind::Unsupported, message).side(Side::Source));
        }
        let manifest = self.manifest_in(opened).await?;
        let source = Arc::clone(&opened.source);
        self.stored(source, manifest, usual).await
    }

    /// One image of an opened source, as it is.
    pub(super) async fn one_image(&self, opened: &OpenedSource) -> Result<RootContent> {
        if let RootContent::Draft(_) = &opened.content {
            return Ok(opened.content.clone());
        }
        let image = self.image_in_or(opened, Some(&usual())).await?;
        Ok(image.descriptor().clone().into())
    }

    /// One image of an opened source, as tools that load docker archives read it.
    pub(super) async fn loadable(&self, opened: &OpenedSource) -> Result<RootContent> {
        match &opened.content {
            RootContent::Manifest(_) => {
                let image = self.image_in_or(opened, Some(&usual())).await?;
                image.loadable().await
            }
            RootContent::Draft(draft) => {
                let retry = self.options().copy.retry;
                let draft = image::loadable(&opened.source, draft.clone(), retry).await?;
                Ok(RootContent::Draft(draft))
            }
            RootContent::Index(_) => {
                let message = "a docker archive holds images only, and this is an index";
                Err(Error::new(ErrorKind::Unsupported, message).side(Side::Source))
            }
        }
    }

    async fn image_of(&self, at: &Reference, choice: &PlatformChoice) -> Result<StoredImage> {
        let source = self.client().source(at.repository()).await?;
        let source = source.with_retry(self.options().copy.retry);
        let manifest = source.manifest_at(&at.selector()).await;
        let manifest = manifest.map_err(|error| error.side(Side::Source))?;
        let picked = self.picked_for(&source, manifest, choice).await?;
        self.stored(Arc::new(source), picked, None).await
    }

    /// The image that `manifest` is, or the only one that it has, or that for `usual`.
    async fn stored(
        &self,
        source: Arc<dyn Source>,
        manifest: Manifest,
        usual: Option<&Platform>,
    ) -> Result<StoredImage> {
        let manifest = match manifest.payload() {
            Payload::Index(index) => match (only_image(index), usual) {
                (Ok(only), _) => {
                    let raw = source.raw_source().unwrap_or(source.as_ref());
                    let manifest = self.retry(|| raw.manifest(&only)).await;
                    manifest.map_err(|error| error.side(Side::Source))?
                }
                (Err(_), Some(usual)) => {
                    let choice = usual.clone().into();
                    self.picked_for(source.as_ref(), manifest, &choice).await?
                }
                (Err(error), None) => {
                    return Err(error.target(manifest.digest()).side(Side::Source));
                }
            },
            _ => manifest,
        };
        let image = StoredImage::new(source, manifest);
        let image = image.map_err(|error| error.side(Side::Source))?;
        let options = self.options();
        Ok(image
            .retry(options.copy.retry)
            .spool_dir(&options.places.spool_dir))
    }
}

/// The one image of an index. What builders attest beside it has an unknown platform.
fn only_image(index: &Index) -> Result<Descriptor> {
    let is_image = |entry: &&Descriptor| {
        let unknown = entry.platform.as_ref().is_some_and(|on| on.os == "unknown");
        entry.media_type.is_image_manifest() && !unknown
    };
    let mut images = index.manifests.iter().filter(is_image);
    if let (Some(only), None) = (images.next(), images.next()) {
        return Ok(only.clone());
    }
    let here = platform::list(&index.manifests);
    let message = format!("an index of several images, choose a platform: {here}");
    Err(Error::new(ErrorKind::Ambiguous, message))
}
