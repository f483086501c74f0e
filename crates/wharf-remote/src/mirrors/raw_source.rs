//! A repository that is read from mirrors, and from the registry itself, with one try of each.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt;
use wharf_oci::{Descriptor, Digest, Manifest, Selector, Tag};

use super::blob;
use super::candidates::{Candidates, MirrorErrors};
use super::hosts_file::Need;
use super::mirror::Mirrors;
use crate::api::Api;
use crate::endpoints::{manifests, referrers, tags};
use crate::repository::RawRepository;
use crate::retrying::Raw;
use wharf_core::blob::Blob;
use wharf_core::store::Source;
use wharf_core::{Error, ErrorKind, Result};

/// One repository of a registry, read from the registry's mirrors if it has some. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RawSource {
    pub(super) candidates: Candidates,
}

impl RawSource {
    pub(crate) fn new(repository: RawRepository, mirrors: Arc<Mirrors>) -> Self {
        RawSource {
            candidates: Candidates::new(repository, mirrors),
        }
    }

    /// The result of the first mirror that succeeds, else their errors.
    pub(super) async fn at_mirrors<T, F>(
        &self,
        need: Need,
        ask: impl Fn(Api) -> F + Send,
    ) -> Result<T, MirrorErrors>
    where
        F: Future<Output = Result<T>> + Send,
    {
        let mut errors = MirrorErrors::default();
        for (index, mirror) in self.candidates.mirrors(need, 0) {
            match ask(mirror.api(self.repository())).await {
                Ok(found) => {
                    mirror.served();
                    return Ok(found);
                }
                Err(error) => {
                    mirror.failed(&error);
                    errors.add(index, error);
                }
            }
        }
        Err(errors)
    }
}

#[async_trait]
impl Source for RawSource {
    async fn resolve(&self, at: &Selector) -> Result<Descriptor> {
        let need = match at {
            Selector::Tag(_) => Need::Resolve,
            Selector::Digest(_) => Need::Pull,
        };
        let ask = |mirror: Api| {
            let at = at.clone();
            async move { manifests::resolve(&mirror, &at).await }
        };
        match self.at_mirrors(need, ask).await {
            Ok(descriptor) => Ok(descriptor),
            Err(errors) => {
                let last = async { self.candidates.last(need)?.resolve(at).await };
                errors.with(&self.candidates, need, last.await)
            }
        }
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        let ask = |mirror: Api| {
            let descriptor = descriptor.clone();
            async move { manifests::fetch(&mirror, &descriptor).await }
        };
        match self.at_mirrors(Need::Pull, ask).await {
            Ok(manifest) => Ok(manifest),
            Err(errors) => {
                let last = async { self.candidates.last(Need::Pull)?.manifest(descriptor).await };
                errors.with(&self.candidates, Need::Pull, last.await)
            }
        }
    }

    fn place(&self) -> Option<String> {
        Some(self.repository().to_string())
    }

    fn blob(&self, descriptor: &Descriptor) -> Blob {
        if let Some(own) = self.candidates.only() {
            return own.blob(descriptor);
        }
        let (candidates, of) = (self.candidates.clone(), descriptor.clone());
        let blob = Blob::new(descriptor.clone(), move |offset| {
            blob::open(candidates.clone(), of.clone(), offset).boxed()
        });
        let repository = self.repository();
        blob.with_name(&repository.to_string())
            .with_origin(repository.clone())
    }

    /// Only the registry itself is asked: no digest verifies a size.
    async fn blob_size(&self, digest: &Digest) -> Result<u64> {
        self.candidates.last(Need::Pull)?.blob_size(digest).await
    }

    async fn tags(&self, after: Option<&Tag>, limit: usize) -> Result<Vec<Tag>> {
        let ask = |mirror: Api| {
            let after = after.cloned();
            async move { tags::after(&mirror, after.as_ref(), limit).await }
        };
        match self.at_mirrors(Need::Resolve, ask).await {
            Ok(tags) => Ok(tags),
            Err(errors) => {
                let last = async {
                    let last = self.candidates.last(Need::Resolve)?;
                    last.tags(after, limit).await
                };
                errors.with(&self.candidates, Need::Resolve, last.await)
            }
        }
    }

    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        let ask = |mirror: Api| {
            let subject = subject.clone();
            async move {
                match referrers::list(&mirror, &subject).await {
                    // Most mirrors have content but no referrers.
                    Ok(none) if none.is_empty() => {
                        Err(Error::new(ErrorKind::NotFound, "it lists no referrers"))
                    }
                    listed => listed,
                }
            }
        };
        match self.at_mirrors(Need::Referrers, ask).await {
            Ok(listed) => Ok(listed),
            Err(errors) => {
                let last = async {
                    let last = self.candidates.last(Need::Referrers)?;
                    last.referrers(subject).await
                };
                errors.with(&self.candidates, Need::Referrers, last.await)
            }
        }
    }
}
