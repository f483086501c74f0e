//! Single requests of a repository that is read: what mirrors may answer, and what only the registry
//! may.

use async_trait::async_trait;
use wharf_oci::{Digest, Manifest, Repository, Selector, Tag};

use super::hosts_file::Need;
use super::raw_source::RawSource;
use crate::api::Api;
use crate::endpoints::blobs::BlobPart;
use crate::endpoints::manifests;
use crate::endpoints::pages::{NextPage, Page};
use crate::retrying::Raw;
use wharf_core::Result;

#[async_trait]
impl Raw for RawSource {
    fn repository(&self) -> &Repository {
        self.candidates.repository()
    }

    async fn manifest_at(&self, at: &Selector) -> Result<Manifest> {
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

    async fn tag_page(&self, at: Option<&NextPage>) -> Result<Page<Tag>> {
        self.candidates.last(Need::Resolve)?.tag_page(at).await
    }

    async fn blob_part(&self, digest: &Digest, start: u64, end: Option<u64>) -> Result<BlobPart> {
        self.candidates
            .last(Need::Pull)?
            .blob_part(digest, start, end)
            .await
    }
}
