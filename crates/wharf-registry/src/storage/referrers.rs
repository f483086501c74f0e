//! Referrer links, and lists of referrers, a page at a time.

use futures::{StreamExt, stream};
use wharf_core::Result;
use wharf_oci::{Descriptor, Digest, Manifest, MediaType, RepositoryName};

use super::manifests::QUESTIONS;
use super::repositories::PAGE;
use super::{Storage, link};
use crate::driver::{Applied, Folder, Key, Version, When};

/// The requested referrers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferrersQuery {
    /// The subject; it may be absent.
    pub subject: Digest,
    /// Only those of this exact artifact type; empty: those without one.
    pub artifact_type: Option<String>,
    /// Only those after this one, in the order of digests.
    pub after: Option<Digest>,
    /// The most bytes of JSON; at least one descriptor is listed.
    pub most: u64,
}

/// Referrers in the order of their digests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReferrersPage {
    /// Their descriptors, with artifact type and annotations.
    pub descriptors: Vec<Descriptor>,
    /// Whether there are more after these.
    pub more: bool,
}

impl ReferrersQuery {
    /// All referrers of a subject, on one page.
    pub fn all(subject: Digest) -> Self {
        ReferrersQuery {
            subject,
            artifact_type: None,
            after: None,
            most: u64::MAX,
        }
    }

    fn wants(&self, descriptor: &Descriptor) -> bool {
        let Some(wanted) = &self.artifact_type else {
            return true;
        };
        let found = descriptor.artifact_type.as_ref();
        found.map_or("", MediaType::as_str) == wanted
    }
}

impl Storage {
    /// Lists a page of the manifests in a repository that have the subject of `query`. The page is
    /// empty if there are none, or no such subject or repository.
    pub async fn referrers(
        &self,
        name: &RepositoryName,
        query: &ReferrersQuery,
    ) -> Result<ReferrersPage> {
        let folder = Folder::Referrers(name.clone(), query.subject.clone());
        let mut after = query
            .after
            .as_ref()
            .map(|after| key_of(name, &query.subject, after));
        let (mut page, mut size) = (ReferrersPage::default(), 0);
        loop {
            let entries = self.driver.list(&folder, after.as_ref(), PAGE).await?;
            let is_last = entries.len() < PAGE;
            after = entries.last().map(|entry| entry.key.clone());
            let loads = stream::iter(entries).map(|entry| self.referrer(entry.key));
            let mut loads = loads.buffered(QUESTIONS);
            while let Some(loaded) = loads.next().await.transpose()? {
                let Some(descriptor) = loaded.filter(|found| query.wants(found)) else {
                    continue;
                };
                // The comma between two counts too.
                size += link::referrer_to_bytes(&descriptor)?.len() as u64 + 1;
                if size > query.most && !page.descriptors.is_empty() {
                    page.more = true;
                    return Ok(page);
                }
                page.descriptors.push(descriptor);
            }
            if is_last {
                return Ok(page);
            }
        }
    }

    /// The descriptor of a referrer, if it is still there: its manifest link decides, because this
    /// link may be left from a process that died.
    async fn referrer(&self, key: Key) -> Result<Option<Descriptor>> {
        let Some(found) = self.driver.get(&key).await? else {
            return Ok(None);
        };
        let Some(descriptor) = link::parse_referrer(&key, &found.bytes) else {
            return Ok(None);
        };
        let Key::ReferrerLink {
            repository,
            referrer,
            ..
        } = key
        else {
            return Ok(None);
        };
        let link = self.link(&repository, &referrer).await?;
        Ok(link.map(|_| descriptor))
    }

    /// Makes the referrer link of a manifest. [`Applied::Declined`] if it has no subject, or
    /// `when` does not hold.
    pub(super) async fn refer(
        &self,
        name: &RepositoryName,
        manifest: &Manifest,
        when: When,
    ) -> Result<Applied> {
        let Some(subject) = manifest.subject() else {
            return Ok(Applied::Declined);
        };
        let key = key_of(name, &subject.digest, manifest.digest());
        let json = link::referrer_to_bytes(&manifest.referrer_descriptor())?;
        self.driver.put(&key, json, when).await
    }

    /// Removes the referrer link of a deleted manifest, and makes it again if the manifest was put
    /// again meanwhile.
    pub(super) async fn unrefer(&self, name: &RepositoryName, manifest: &Manifest) -> Result<()> {
        let Some(subject) = manifest.subject() else {
            return Ok(());
        };
        let key = key_of(name, &subject.digest, manifest.digest());
        self.driver.delete(&key, None::<&Version>).await?;
        if self.link(name, manifest.digest()).await?.is_some() {
            self.refer(name, manifest, When::Always).await?;
        }
        Ok(())
    }
}

fn key_of(name: &RepositoryName, subject: &Digest, referrer: &Digest) -> Key {
    Key::ReferrerLink {
        repository: name.clone(),
        subject: subject.clone(),
        referrer: referrer.clone(),
    }
}
