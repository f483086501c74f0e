//! Attaches artifacts, such as signatures and SBOMs, to what is in a repository.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use wharf_oci::{Descriptor, MediaType, Reference};

use super::Wharf;
use crate::blob::Blob;
use crate::image::NewArtifact;
use crate::store::{Names, Store};
use crate::{Result, Side};

/// The most blobs that are sent at a time.
const MOST_AT_ONCE: usize = 16;

impl Wharf {
    /// Attaches `blobs` to what `subject` names, as an artifact of this type, and returns the
    /// artifact's descriptor. It is put without a tag: [`Wharf::referrers`] finds it by its subject.
    /// If the options name a platform, an index stands for its image.
    ///
    /// The artifact has the descriptors of the blobs, with media types and annotations. Without
    /// blobs it is its type alone.
    ///
    /// ```no_run
    /// use wharf::{Client, MediaType, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let spdx: MediaType = "application/spdx+json".parse()?;
    /// let sbom = wharf::file::blob("sbom.json".as_ref(), spdx.clone()).await?;
    /// let image = "registry.example/app:1".parse()?;
    /// let attached = wharf.attach(&image, spdx, &[sbom]).await?;
    /// println!("{}", attached.digest);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if `subject` names nothing; otherwise as
    /// [`Wharf::push_blob`] and [`Wharf::put`]: nothing new refers to the subject then.
    pub async fn attach(
        &self,
        subject: &Reference,
        artifact_type: MediaType,
        blobs: &[Blob],
    ) -> Result<Descriptor> {
        // Not from a mirror: its tag may be older than the registry's.
        let store = self.repository(subject.repository());
        let at = subject.selector();
        let described = self.retry(|| store.manifest_at(&at)).await;
        let described = described.map_err(|error| error.side(Side::Source))?;
        let described = self.picked(&store, described).await?;
        let artifact = NewArtifact {
            artifact_type,
            blobs: blobs.iter().map(|blob| blob.descriptor().clone()).collect(),
            subject: Some(described.descriptor().clone()),
            annotations: BTreeMap::new(),
        };
        let manifest = artifact.into_manifest()?;
        // The blobs first: a registry refuses a manifest before what it links to.
        let mut distinct = vec![NewArtifact::empty()];
        for blob in blobs {
            let digest = &blob.descriptor().digest;
            let is_new = |other: &Blob| other.descriptor().digest != *digest;
            if distinct.iter().all(is_new) {
                distinct.push(blob.clone());
            }
        }
        let repository = subject.repository();
        let pushes = distinct.iter().map(|blob| self.push_blob(blob, repository));
        let copy = &self.options().copy;
        let jobs = copy.large.min(copy.jobs).clamp(1, MOST_AT_ONCE);
        let mut pushes = stream::iter(pushes).buffer_unordered(jobs);
        while pushes.try_next().await?.is_some() {}
        let put = self
            .retry(|| store.put_manifest(&manifest, Names::Root(&[])))
            .await;
        put.map_err(|error| error.side(Side::Destination))?;
        Ok(manifest.descriptor().clone())
    }
}
