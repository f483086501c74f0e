//! Single manifests: tagged, put and deleted, each with the retries of a copy.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use wharf_oci::{Descriptor, Manifest, MediaType, Reference, Selector, Tag};

use super::Pusher;
use crate::store::Store;
use crate::{Error, ErrorKind, Result};

impl Pusher {
    /// Puts what `image` names under further tags of its repository, and returns its
    /// descriptor. Uploads no blob.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where `image` names nothing; what the registry says otherwise.
    pub async fn tag(&self, image: &Reference, tags: &[Tag]) -> Result<Descriptor> {
        let (store, at) = (self.repository(image.repository()), image.selector());
        let retry = &self.options().retry;
        let manifest = retry.run(|| store.manifest_at(&at)).await?;
        retry.run(|| store.put_tags(&manifest, tags)).await?;
        Ok(manifest.descriptor().clone())
    }

    /// Puts the exact bytes of a manifest at `to`: under the tag there, by its digest
    /// where there is none. What it links to must be in the repository already. A manifest with a
    /// subject becomes a referrer of that.
    ///
    /// Its media type is `media_type` where given, else what the document says of itself, else
    /// Docker schema 2; see [`Manifest::parse_raw`].
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where the bytes are no manifest, or not of that media type, or have
    /// not the digest in `to`: then nothing is sent. What the registry says otherwise.
    pub async fn put(
        &self,
        media_type: Option<&MediaType>,
        bytes: impl Into<Bytes>,
        to: &Reference,
    ) -> Result<Descriptor> {
        let manifest = Manifest::parse_raw(media_type, bytes.into(), to.digest())
            .map_err(|error| Error::from(error).target(to))?;
        let store = self.repository(to.repository());
        let put = || store.put_root(&manifest, to.tag());
        self.options().retry.run(put).await?;
        Ok(manifest.descriptor().clone())
    }

    /// Deletes the tag that `at` names, or the manifest of its digest with all tags. Here no tag
    /// does not mean `latest`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where `at` has neither tag nor digest, or both;
    /// [`ErrorKind::NotFound`] where it names nothing; [`ErrorKind::Unsupported`] where the
    /// registry does not delete; what it says otherwise.
    pub async fn delete(&self, at: &Reference) -> Result<()> {
        let selector = match (at.tag(), at.digest()) {
            (Some(tag), None) => Selector::Tag(tag.clone()),
            (None, Some(digest)) => Selector::Digest(digest.clone()),
            (None, None) => return Err(unclear(at, "has no tag and no digest")),
            (Some(_), Some(_)) => return Err(unclear(at, "has a tag and a digest")),
        };
        let store = self.repository(at.repository());
        let tried = AtomicBool::new(false);
        let delete = || {
            let again = tried.swap(true, Ordering::Relaxed);
            let deleting = store.delete(&selector);
            async move {
                match deleting.await {
                    // A try whose answer was lost had done it.
                    Err(error) if again && error.kind() == ErrorKind::NotFound => Ok(()),
                    outcome => outcome,
                }
            }
        };
        self.options().retry.run(delete).await
    }
}

fn unclear(at: &Reference, what: &str) -> Error {
    let message = format!("{what}: say which of them to delete");
    Error::new(ErrorKind::Invalid, message).target(at)
}
