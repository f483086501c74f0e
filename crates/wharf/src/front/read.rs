//! Reads single manifests and configs, byte for byte.

use bytes::Bytes;
use wharf_oci::{Descriptor, MAX_CONFIG_SIZE, Manifest, Payload, Reference};

use super::Wharf;
use crate::place::{PlatformChoice, platform};
use crate::store::Source;
use crate::{Error, ErrorKind, Result, Side};

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
