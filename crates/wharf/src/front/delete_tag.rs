//! Deletes a tag alone, also in registries that delete manifests only.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};

use wharf_oci::{Manifest, MediaType, Reference, Selector, Tag};

use super::Wharf;
use crate::image::NewArtifact;
use crate::remote::RemoteRepository;
use crate::store::{Names, Source, Store};
use crate::{Error, ErrorKind, Result};

/// The type of a manifest that is only there to be deleted with a tag.
const THROW_AWAY: &str = "application/vnd.wharf.throw-away";

impl Wharf {
    /// Deletes the tag that `at` names, and nothing else. Its manifest stays, without that tag.
    ///
    /// A registry that only deletes manifests gets a throw-away manifest: the tag is moved to it, and
    /// it is deleted by its digest, with the tag. No other manifest is ever deleted. The registry
    /// first has to delete a manifest without a tag: one that deletes none keeps the tag as it is. If
    /// the last step fails, the tag is moved back, unless it names something else by then. A tag that
    /// another client moves meanwhile may stay, or be deleted; its manifest stays.
    ///
    /// ```no_run
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// wharf.delete_tag(&"registry.example/app:old".parse()?).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if `at` has no tag, or a digest; [`ErrorKind::NotFound`] if there is no
    /// such tag; [`ErrorKind::Unsupported`] if the registry deletes nothing; its other errors.
    pub async fn delete_tag(&self, at: &Reference) -> Result<()> {
        let tag = only_tag(at).map_err(|error| error.target(at))?;
        let store = self.repository(at.repository());
        let selector = Selector::Tag(tag.clone());
        let deleted = self.options().copy.retry.delete(&store, &selector).await;
        match deleted {
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                tracing::debug!(%error, "deleting a manifest with the tag");
                self.throw_away(&store, tag).await?;
            }
            deleted => deleted?,
        }
        tracing::info!(%at, "tag deleted");
        Ok(())
    }

    async fn throw_away(&self, store: &RemoteRepository, tag: &Tag) -> Result<()> {
        let selector = Selector::Tag(tag.clone());
        let named = self.retry(|| store.manifest_at(&selector)).await?;
        if is_throw_away(&named) {
            // Left by a run that was interrupted.
            return self.delete_manifest(store, &named).await;
        }
        let manifest = made_for(tag)?;
        self.push_blob(&NewArtifact::empty(), store.repository())
            .await?;
        self.put_under(store, &manifest, &[]).await?;
        self.delete_manifest(store, &manifest).await?;
        let tags = std::slice::from_ref(tag);
        let moved = async {
            self.put_under(store, &manifest, tags).await?;
            self.delete_manifest(store, &manifest).await
        };
        let Err(error) = moved.await else {
            return Ok(());
        };
        match self.put_back(store, &named, &manifest, tag).await {
            Ok(()) => Err(error),
            Err(back) => {
                tracing::debug!(error = %back, "tag not moved back");
                let message = format!(
                    "{error}; tag {tag} may name a throw-away manifest now: \
                     put {} back under it, or run this again",
                    named.digest()
                );
                Err(Error::new(error.kind(), message))
            }
        }
    }

    /// Moves the tag back from `manifest`, unless it names something else.
    async fn put_back(
        &self,
        store: &RemoteRepository,
        named: &Manifest,
        manifest: &Manifest,
        tag: &Tag,
    ) -> Result<()> {
        let selector = Selector::Tag(tag.clone());
        let there = match self.retry(|| store.resolve(&selector)).await {
            Ok(there) => there.digest,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        match there == *manifest.digest() {
            true => {
                self.put_under(store, named, std::slice::from_ref(tag))
                    .await
            }
            false => Ok(()),
        }
    }

    async fn put_under(
        &self,
        store: &RemoteRepository,
        manifest: &Manifest,
        tags: &[Tag],
    ) -> Result<()> {
        let put = || store.put_manifest(manifest, Names::Root(tags));
        self.retry(put).await
    }

    async fn delete_manifest(&self, store: &RemoteRepository, manifest: &Manifest) -> Result<()> {
        let digest = Selector::Digest(manifest.digest().clone());
        self.options().copy.retry.delete(store, &digest).await
    }
}

/// A manifest that nothing else is.
///
/// # Errors
/// None in practice: the manifest is small.
fn made_for(tag: &Tag) -> Result<Manifest> {
    // Keys of hash maps are random.
    let random = RandomState::new().build_hasher().finish();
    let note = format!("moved away from {tag} to delete it, {random:016x}");
    let artifact = NewArtifact {
        artifact_type: MediaType::verbatim(THROW_AWAY),
        blobs: Vec::new(),
        subject: None,
        annotations: BTreeMap::from([("org.opencontainers.image.description".to_owned(), note)]),
    };
    artifact.into_manifest()
}

fn is_throw_away(manifest: &Manifest) -> bool {
    let kind = manifest.artifact_type();
    kind.is_some_and(|kind| kind.as_str() == THROW_AWAY)
}

/// The tag of a reference that names nothing else.
///
/// # Errors
/// [`ErrorKind::Invalid`] if it has no tag, or a digest. The error does not name `at`.
pub fn only_tag(at: &Reference) -> Result<&Tag> {
    match (at.tag(), at.digest()) {
        (Some(tag), None) => Ok(tag),
        _ => {
            let message = "not a tag by itself; write REPOSITORY:TAG";
            Err(Error::new(ErrorKind::Invalid, message))
        }
    }
}
