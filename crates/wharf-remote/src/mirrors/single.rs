//! Single requests of a repository that is read: what mirrors may answer, and what only the registry
//! may.

use wharf_oci::{Digest, Manifest, Selector, Tag};

use super::hosts_file::Need;
use super::source::RemoteSource;
use crate::api::Api;
use crate::endpoints::blobs::BlobPart;
use crate::endpoints::manifests;
use crate::endpoints::pages::{NextPage, Page};
use wharf_core::Result;

impl RemoteSource {
    /// The manifest that a tag or digest names, with one request where resolving it first would
    /// take two: from a mirror, else from the registry. A registry may count that as a pull.
    ///
    /// # Errors
    /// As [`Source::resolve`](wharf_core::Source::resolve) and
    /// [`Source::manifest`](wharf_core::Source::manifest).
    pub async fn manifest_at(&self, at: &Selector) -> Result<Manifest> {
        let need = match at {
            Selector::Tag(_) => Need::Resolve,
            Selector::Digest(_) => Need::Pull,
        };
        let ask = |mirror: Api| {
            let at = at.clone();
            async move { manifests::fetch_at(&mirror, &at).await }
        };
        match self.at_mirrors(need, ask).await {
            Ok(manifest) => Ok(manifest),
            Err(errors) => {
                let last = async { self.candidates.last(need)?.manifest_at(at).await };
                errors.with(&self.candidates, need, last.await)
            }
        }
    }

    /// A page of tags, from the registry: a mirror may have but some of them.
    ///
    /// # Errors
    /// As [`RemoteRepository::tag_page`](crate::RemoteRepository::tag_page).
    pub async fn tag_page(&self, at: Option<&NextPage>) -> Result<Page<Tag>> {
        self.candidates.last(Need::Resolve)?.tag_page(at).await
    }

    /// The bytes of a blob that is known by its digest alone, from the registry: without the size
    /// a mirror cannot be judged before the last byte.
    ///
    /// # Errors
    /// As [`RemoteRepository::blob_part`](crate::RemoteRepository::blob_part).
    pub async fn blob_part(
        &self,
        digest: &Digest,
        start: u64,
        end: Option<u64>,
    ) -> Result<BlobPart> {
        self.candidates
            .last(Need::Pull)?
            .blob_part(digest, start, end)
            .await
    }
}
