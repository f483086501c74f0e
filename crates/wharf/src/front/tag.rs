//! Puts single manifests, and adds tags to them.

use bytes::Bytes;
use wharf_oci::{Descriptor, Manifest, MediaType, Reference, Tag};

use super::Wharf;
use crate::remote::RemoteRepository;
use crate::store::{Names, Store};
use crate::{Error, Result, Side};

impl Wharf {
    /// Adds tags to the manifest that `image` names, and returns its descriptor. Uploads no blob.
    /// If the options name a platform, an index stands for its image.
    ///
    /// ```no_run
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let tags = ["1".parse()?, "stable".parse()?];
    /// wharf.tag(&"registry.example/app:1.0".parse()?, &tags).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if `image` names nothing; the registry's
    /// other errors. [`Error::failed_side`] distinguishes reading from putting.
    pub async fn tag(&self, image: &Reference, tags: &[Tag]) -> Result<Descriptor> {
        // Not from a mirror: its tag may be older than the registry's.
        let store = self.repository(image.repository());
        let at = image.selector();
        let manifest = self.retry(|| store.manifest_at(&at)).await;
        let manifest = manifest.map_err(|error| error.side(Side::Source))?;
        let manifest = self.picked(&store, manifest).await?;
        tracing::info!(%image, digest = %manifest.digest(), "manifest read");
        let tags = distinct(tags);
        if tags.is_empty() {
            return Ok(manifest.descriptor().clone());
        }
        let put = || store.put_manifest(&manifest, Names::Root(&tags));
        let put = self.retry(put).await;
        put.map_err(|error| error.side(Side::Destination))?;
        let names: Vec<&str> = tags.iter().map(Tag::as_str).collect();
        tracing::info!(repository = %image.repository(), tags = ?names, "tagged");
        Ok(kept(&store, &manifest))
    }

    /// Puts the exact bytes of a manifest at `to`: under its tag, or by digest if there is none.
    /// Content that it links to must be in the repository already. A manifest with a subject
    /// becomes a referrer of it.
    ///
    /// Its media type is `media_type` if given, else the document's own, else Docker schema 2; see
    /// [`Manifest::parse_raw`].
    ///
    /// ```no_run
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example(manifest: Vec<u8>) -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let put = wharf.put(None, manifest, &"registry.example/app:1".parse()?).await?;
    /// println!("{}", put.digest);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), of [`Side::Source`], if the bytes are not
    /// a manifest, or not of that media type, or do not have the digest in `to`: nothing is sent
    /// then. The registry's other errors, of [`Side::Destination`].
    pub async fn put(
        &self,
        media_type: Option<&MediaType>,
        bytes: impl Into<Bytes>,
        to: &Reference,
    ) -> Result<Descriptor> {
        let manifest = Manifest::parse_raw(media_type, bytes.into(), to.digest())
            .map_err(|error| Error::from(error).side(Side::Source))?;
        let store = self.repository(to.repository());
        let put = || store.put_manifest(&manifest, to.tag().into());
        let put = self.retry(put).await;
        put.map_err(|error| error.side(Side::Destination))?;
        tracing::info!(%to, digest = %manifest.digest(), "manifest put");
        Ok(kept(&store, &manifest))
    }
}

/// The descriptor of a manifest that was put, with the digest by which the registry has it.
fn kept(store: &RemoteRepository, manifest: &Manifest) -> Descriptor {
    let mut descriptor = manifest.descriptor().clone();
    if let Some(other) = store.hints().kept_as(&descriptor.digest) {
        descriptor.digest = other;
    }
    descriptor
}

/// Each tag once, in the order given.
fn distinct(tags: &[Tag]) -> Vec<Tag> {
    let mut distinct: Vec<Tag> = Vec::new();
    for tag in tags {
        if !distinct.contains(tag) {
            distinct.push(tag.clone());
        }
    }
    distinct
}
