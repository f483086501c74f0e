//! A repository that tries each request once: the store traits, delegated to the endpoint files.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use wharf_oci::{Descriptor, Digest, Manifest, MediaType, Repository, Selector, Tag};

use crate::api::Api;
use crate::endpoints::blobs::{self, BlobPart};
use crate::endpoints::pages::{NextPage, Page};
use crate::endpoints::{delete, manifests, put_manifest, referrers, tags, upload};
use crate::hosts::Others;
use crate::memory::RegistryMemory;
use crate::retrying::Raw;
use wharf_core::blob::Blob;
use wharf_core::intake::Intake;
use wharf_core::store::{Hints, Holding, Names, Outcome, Pulse, Source, Store};
use wharf_core::sync::Lock;
use wharf_core::{Result, Side};

/// One repository of a registry. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RawRepository {
    api: Api,
    /// The digests of manifests that the registry keeps under another one.
    kept_as: Arc<Lock<HashMap<Digest, Digest>>>,
}

impl RawRepository {
    pub(crate) fn new(api: Api) -> Self {
        RawRepository {
            api,
            kept_as: Arc::default(),
        }
    }

    fn memory(&self) -> &RegistryMemory {
        self.api.host().memory()
    }

    /// Remembers that content is there.
    fn saw(&self, descriptor: &Descriptor) {
        self.memory().saw(self.repository(), descriptor);
    }

    fn about<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| error.target(self.repository()))
    }
}

#[async_trait]
impl Raw for RawRepository {
    fn repository(&self) -> &Repository {
        self.api.repository()
    }

    async fn manifest_at(&self, at: &Selector) -> Result<Manifest> {
        let fetched = manifests::fetch_at(&self.api, at).await;
        if let Ok(manifest) = &fetched {
            self.memory().fetched(self.repository(), manifest);
        }
        self.about(fetched)
    }

    async fn tag_page(&self, at: Option<&NextPage>) -> Result<Page<Tag>> {
        self.about(tags::page(&self.api, at).await)
    }

    async fn blob_part(&self, digest: &Digest, start: u64, end: Option<u64>) -> Result<BlobPart> {
        blobs::part(&self.api, digest, start, end).await
    }
}

#[async_trait]
impl Source for RawRepository {
    async fn resolve(&self, at: &Selector) -> Result<Descriptor> {
        let resolved = manifests::resolve(&self.api, at).await;
        self.memory().resolved(self.repository(), at, &resolved);
        self.about(resolved)
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        let fetched = manifests::fetch(&self.api, descriptor).await;
        if let Ok(manifest) = &fetched {
            self.memory().fetched(self.repository(), manifest);
        }
        self.about(fetched)
    }

    fn place(&self) -> Option<String> {
        Some(self.repository().to_string())
    }

    fn pulse(&self) -> Option<Arc<Pulse>> {
        Some(Arc::clone(self.api.host().pulse()))
    }

    fn blob(&self, descriptor: &Descriptor) -> Blob {
        blobs::open(&self.api, descriptor)
    }

    async fn blob_size(&self, digest: &Digest) -> Result<u64> {
        self.about(blobs::size(&self.api, digest).await)
    }

    async fn tags(&self, after: Option<&Tag>, limit: usize) -> Result<Vec<Tag>> {
        self.about(tags::after(&self.api, after, limit).await)
    }

    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        self.about(referrers::list(&self.api, subject).await)
    }
}

#[async_trait]
impl Store for RawRepository {
    async fn contains(&self, descriptor: &Descriptor) -> Result<bool> {
        Ok(self.holding(descriptor).await? == Holding::Whole)
    }

    async fn holding(&self, descriptor: &Descriptor) -> Result<Holding> {
        self.api.will_write();
        let holding = if descriptor.media_type.is_manifest() {
            let there = manifests::contains(&self.api, descriptor).await;
            there.map(|there| {
                if there {
                    Holding::Whole
                } else {
                    Holding::Absent
                }
            })
        } else {
            blobs::holding(&self.api, descriptor).await
        };
        match holding {
            Ok(Holding::Whole) => {
                self.saw(descriptor);
                // Another upload put it, or the answer to the commit was lost.
                upload::end_kept(&self.api, &descriptor.digest);
            }
            Ok(_) => self.memory().missed(self.repository(), descriptor),
            Err(_) => {}
        }
        self.about(holding)
    }

    async fn put_blob(&self, blob: &Blob) -> Result<Outcome> {
        let upload = |blob: Blob| async move {
            let put = upload::put(&self.api, &blob).await?;
            // Before an upload to another repository looks where to mount it from.
            self.saw(blob.descriptor());
            Ok(put)
        };
        let uploads = self.api.host().uploads();
        let mounts_now = blob.origin().is_some_and(|origin| {
            origin != self.repository() && origin.registry() == self.repository().registry()
        });
        let others = match blob.may_be_mounted() {
            true if mounts_now => Others::Needless,
            true => Others::WaitedFor,
            false => Others::Ignored,
        };
        let put = uploads.once(self.api.name(), blob, others, upload).await;
        put.map_err(|error| match error.failed_side() {
            // An error of the source names the source, not this repository.
            Some(Side::Source) => error,
            _ => error
                .target(format_args!("blob {}", blob.descriptor().digest))
                .target(self.repository()),
        })
    }

    async fn ingest(&self, media_type: &MediaType, intake: Arc<dyn Intake>) -> Result<Descriptor> {
        let ingested = upload::ingest(&self.api, media_type, intake).await;
        if let Ok(descriptor) = &ingested {
            self.saw(descriptor);
        }
        ingested.map_err(|error| match error.failed_side() {
            Some(Side::Source) => error,
            _ => error.target(self.repository()),
        })
    }

    async fn put_manifest(&self, manifest: &Manifest, names: Names<'_>) -> Result<()> {
        let put = Box::pin(put_manifest::put(&self.api, manifest, names.tags())).await;
        if let Ok(other) = &put {
            match other {
                None => self.saw(manifest.descriptor()),
                Some(other) => {
                    let own = manifest.digest().clone();
                    self.kept_as.lock().insert(own, other.clone());
                }
            }
            for tag in names.tags() {
                let memory = self.memory();
                memory.saw_tag(self.repository(), tag, manifest.digest());
            }
        }
        self.about(put.map(drop))
    }

    async fn delete(&self, at: &Selector) -> Result<()> {
        let deleted = delete::delete(&self.api, at).await;
        if deleted.is_ok() {
            self.memory().deleted(self.repository(), at);
        }
        self.about(deleted)
    }

    fn hints(&self) -> &dyn Hints {
        self
    }
}

impl Hints for RawRepository {
    fn prepare(&self) {
        self.api.will_write();
    }

    fn recalls(&self, manifest: &Descriptor, tag: Option<&Tag>) -> bool {
        let memory = self.memory();
        match tag {
            None => memory.recalls(self.repository(), manifest),
            Some(tag) => {
                memory.recalls_tag(self.repository(), tag).as_ref() == Some(&manifest.digest)
            }
        }
    }

    fn mount_source(&self, blob: &Descriptor) -> Option<Repository> {
        let name = self.api.elsewhere(&blob.digest)?;
        Repository::new(self.repository().registry().clone(), name).ok()
    }

    fn asks_when_putting(&self, blob: &Descriptor) -> bool {
        upload::asks_first(&self.api, blob.size)
    }

    fn kept_as(&self, manifest: &Digest) -> Option<Digest> {
        self.kept_as.lock().get(manifest).cloned()
    }

    fn forget(&self, content: &Descriptor) {
        self.memory().refuted(self.repository(), content);
    }

    fn give_up(&self, blobs: &[Digest]) {
        for digest in blobs {
            upload::leave_kept(&self.api, digest);
        }
    }
}
