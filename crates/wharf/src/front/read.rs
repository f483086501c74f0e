//! Reads single manifests and configs, byte for byte.

use bytes::Bytes;
use wharf_oci::{Descriptor, MAX_CONFIG_SIZE, Manifest, Payload, Reference};

use super::Wharf;
use crate::copy::Root;
use crate::place::{OpenedSource, Place, PlatformChoice, platform};
use crate::store::{Nowhere, Source};
use crate::{Error, ErrorKind, Result, RootContent, Side};

/// Exact bytes with their descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Media type, digest and size.
    pub descriptor: Descriptor,
    /// The bytes, which have that digest.
    pub bytes: Bytes,
}

impl Wharf {
    /// The manifest that `at` names, with its exact bytes. If the options name a platform, an index
    /// stands for its image. A registry may count this as a pull.
    ///
    /// ```no_run
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let manifest = wharf.manifest(&"registry.example/app:1".parse()?).await?;
    /// println!("{}", String::from_utf8_lossy(manifest.bytes()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if `at` names nothing, or nothing for the platform; the registry's
    /// other errors.
    pub async fn manifest(&self, at: &Reference) -> Result<Manifest> {
        let source = self.source(at.repository()).await?;
        let selector = at.selector();
        let manifest = self.retry(|| source.manifest_at(&selector)).await;
        let manifest = manifest.map_err(|error| error.side(Side::Source))?;
        tracing::info!(%at, digest = %manifest.digest(), "manifest read");
        self.picked(&source, manifest).await
    }

    /// The config of the image that `at` names, with its exact bytes. For an index it is the config
    /// of the image for the platform of the options.
    ///
    /// ```no_run
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let config = wharf.config(&"registry.example/app:1".parse()?).await?;
    /// println!("{}", String::from_utf8_lossy(&config.bytes));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Ambiguous`] if `at` names an index and the options name no platform;
    /// [`ErrorKind::Unsupported`] if it names something without a config; otherwise as
    /// [`Wharf::manifest`].
    pub async fn config(&self, at: &Reference) -> Result<Content> {
        let manifest = self.manifest(at).await?;
        let descriptor = match manifest.payload() {
            Payload::Image(image) => image.config.clone(),
            Payload::Index(index) => {
                let here = platform::list(&index.manifests);
                let message = format!("an index of several images; choose a platform: {here}");
                return Err(Error::new(ErrorKind::Ambiguous, message).target(at));
            }
            Payload::Artifact(_) | Payload::Schema1(_) => {
                let message = format!("a manifest without a config: {}", manifest.media_type());
                return Err(Error::new(ErrorKind::Unsupported, message).target(at));
            }
        };
        let source = self.source(at.repository()).await?;
        let blob = source.blob(&descriptor);
        let bytes = self.retry(|| blob.read_all(MAX_CONFIG_SIZE)).await;
        let bytes = bytes.map_err(|error| error.side(Side::Source))?;
        Ok(Content { descriptor, bytes })
    }

    /// What a place names: the descriptor of an image or index, with one request to a registry. If
    /// the options name a platform, an index stands for its image. Of a docker archive it is the
    /// manifest that a push of it puts; layers that were not compressed before are compressed.
    ///
    /// ```no_run
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// println!("{}", wharf.resolve(&"docker-archive:app.tar".parse()?).await?.digest);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Wharf::open`] and [`Wharf::manifest_in`].
    pub async fn resolve(&self, place: &Place) -> Result<Descriptor> {
        // Resolving asks for less, but a platform can only be picked out of an index.
        let opened = match &self.options().places.platform {
            PlatformChoice::All => self.open(place).await?,
            _ => self.read(place).await?,
        };
        match &opened.content {
            RootContent::Manifest(descriptor) => Ok(descriptor.clone()),
            _ => Ok(self.manifest_in(&opened).await?.descriptor().clone()),
        }
    }

    /// The manifest of an opened source, with its exact bytes. Of an image that a docker archive has
    /// it is the one that a push of it puts: the layers are compressed for it, unless their result
    /// is remembered.
    ///
    /// ```no_run
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let image = wharf.read(&"oci:app:1".parse()?).await?;
    /// println!("{}", String::from_utf8_lossy(wharf.manifest_in(&image).await?.bytes()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The source's errors; [`ErrorKind::Corrupt`] for bytes of another digest, or layers of
    /// another diff id.
    pub async fn manifest_in(&self, opened: &OpenedSource) -> Result<Manifest> {
        if let Some(manifest) = &opened.manifest {
            return Ok(manifest.clone());
        }
        let source = opened.source.as_ref();
        let manifest = match &opened.content {
            RootContent::Manifest(descriptor) => {
                let raw = source.raw_source().unwrap_or(source);
                self.retry(|| raw.manifest(descriptor)).await
            }
            made => self.made(source, made).await,
        };
        manifest.map_err(|error| error.side(Side::Source))
    }

    /// The config of an opened source, with its exact bytes. For an index it is that of the image for
    /// the platform of the options, or of the only one there is, or of that for linux/amd64.
    ///
    /// ```no_run
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let image = wharf.read(&"docker-archive:app.tar".parse()?).await?;
    /// println!("{}", String::from_utf8_lossy(&wharf.config_in(&image).await?.bytes));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if an index has no such image; [`ErrorKind::Unsupported`] if the root
    /// has no config; otherwise as [`Wharf::manifest_in`].
    pub async fn config_in(&self, opened: &OpenedSource) -> Result<Content> {
        let descriptor = match &opened.content {
            RootContent::Draft(draft) => draft.config.stored().cloned(),
            RootContent::Manifest(_) | RootContent::Index(_) => None,
        };
        let Some(descriptor) = descriptor else {
            let image = self.image_in_or(opened, Some(&platform::usual())).await?;
            return Ok(Content {
                descriptor: image.config_descriptor().clone(),
                bytes: image.config_bytes().await?,
            });
        };
        let blob = opened.source.blob(&descriptor);
        let bytes = blob.read_all(MAX_CONFIG_SIZE).await;
        let bytes = bytes.map_err(|error| error.side(Side::Source))?;
        Ok(Content { descriptor, bytes })
    }

    /// The manifest that a draft becomes: it is copied to a store that keeps nothing else.
    async fn made(&self, source: &dyn Source, content: &RootContent) -> Result<Manifest> {
        let nowhere = Nowhere::default();
        let root = Root {
            content: content.clone(),
            tags: Vec::new(),
        };
        self.copy_root(source, &nowhere, root).await?;
        let unmade = || Error::new(ErrorKind::Invalid, "the copy made no manifest");
        nowhere.last_manifest().ok_or_else(unmade)
    }

    /// The manifests that refer to what `at` names, as descriptors with artifact type and
    /// annotations; none if there are none.
    ///
    /// ```no_run
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// for referrer in wharf.referrers(&"registry.example/app:1".parse()?).await? {
    ///     println!("{}", referrer.digest);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the tag of `at` does not exist; the registry's other errors.
    pub async fn referrers(&self, at: &Reference) -> Result<Vec<Descriptor>> {
        let source = self.source(at.repository()).await?;
        let subject = match at.digest() {
            Some(digest) => digest.clone(),
            None => {
                let selector = at.selector();
                let resolved = self.retry(|| source.resolve(&selector)).await;
                resolved.map_err(|error| error.side(Side::Source))?.digest
            }
        };
        let listed = self.retry(|| source.referrers(&subject)).await;
        listed.map_err(|error| error.side(Side::Source))
    }

    /// The image that `manifest` of `source` has for the platform of the options.
    pub(super) async fn picked(&self, source: &dyn Source, manifest: Manifest) -> Result<Manifest> {
        let choice = &self.options().places.platform;
        self.picked_for(source, manifest, choice).await
    }

    /// The image that `manifest` of `source` has for a platform.
    pub(super) async fn picked_for(
        &self,
        source: &dyn Source,
        manifest: Manifest,
        choice: &PlatformChoice,
    ) -> Result<Manifest> {
        let PlatformChoice::One(wanted) = choice else {
            return Ok(manifest);
        };
        let source = source.raw_source().unwrap_or(source);
        let picked = async {
            let image = self.retry(|| platform::image_in(source, &manifest, wanted));
            match image.await? {
                Some(image) => self.retry(|| source.manifest(&image)).await.map(Some),
                None => Ok(None),
            }
        };
        let picked = picked
            .await
            .map_err(|error: Error| error.side(Side::Source))?;
        Ok(picked.unwrap_or(manifest))
    }
}
