//! A repository in a registry: the store traits, by delegation to what knows each endpoint.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use wharf_oci::{
    Descriptor, Digest, Manifest, MediaType, Repository, RepositoryName, Selector, Tag,
};

use super::auth::{self, Access};
use super::endpoint::Endpoint;
use super::host::Host;
use super::transport::{Request, Response, Transport};
use super::{blobs, delete, manifests, referrers, sighted, upload};
use wharf_core::Result;
use wharf_core::blob::{Blob, ByteStream};
use wharf_core::intake::{Intake, OneShot};
use wharf_core::store::{Outcome, Source, Store};

/// One repository of a registry. Cheap to clone.
///
/// Its methods try once; trying again is the business of [`wharf_core::copy`].
#[derive(Clone, Debug)]
pub struct RemoteRepository {
    repository: Repository,
    transport: Transport,
    host: Arc<Host>,
    /// Whether it is written to, and its tokens are to allow that from the first one on.
    written: Arc<AtomicBool>,
}

impl RemoteRepository {
    pub(super) fn new(repository: Repository, transport: Transport, host: Arc<Host>) -> Self {
        RemoteRepository {
            repository,
            transport,
            host,
            written: Arc::default(),
        }
    }

    /// Registry and name.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The manifest that a tag or digest names, with one request where resolving it first would
    /// take two. A registry may count that as a pull.
    ///
    /// # Errors
    /// As [`Source::resolve`] and [`Source::manifest`].
    pub async fn manifest_at(&self, at: &Selector) -> Result<Manifest> {
        let fetched = manifests::fetch_at(self, at).await;
        if let Ok(manifest) = &fetched {
            sighted::fetched(self.host.memory(), &self.repository, manifest);
        }
        self.about(fetched)
    }

    pub(super) fn name(&self) -> &RepositoryName {
        self.repository.name()
    }

    pub(super) fn host(&self) -> &Host {
        &self.host
    }

    pub(super) async fn endpoint(&self) -> Result<&Endpoint> {
        self.host.endpoint(&self.transport).await
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.transport
    }

    pub(super) fn access(&self) -> Access {
        match self.written.load(Ordering::Relaxed) {
            true => Access::Write,
            false => Access::Read,
        }
    }

    /// Sends a request with what the registry wants to be shown.
    pub(super) async fn send(&self, request: Request) -> Result<Response> {
        // Large, and part of many futures.
        Box::pin(auth::send(self, request)).await
    }

    /// Sends a request as it is.
    pub(super) async fn dispatch(&self, request: Request) -> Result<Response> {
        let response = self.host.send(&self.transport, request).await?;
        self.host.notice(&response);
        Ok(response)
    }

    /// The other repository of this registry in which a blob was seen last: it may be mounted from
    /// there (wire.md E4).
    pub(super) fn elsewhere(&self, blob: &Digest) -> Option<RepositoryName> {
        self.host.memory().elsewhere(&self.repository, blob)
    }

    /// Takes back that a blob was seen in a repository of this registry: it was not mounted.
    pub(super) fn forget(&self, from: &RepositoryName, blob: &Digest) {
        let registry = self.repository.registry().clone();
        if let Ok(from) = Repository::new(registry, from.clone()) {
            self.host.memory().forget_blob(&from, blob);
        }
    }

    /// Nobody will go on with the session that was kept for a blob.
    fn end_session(&self, digest: &Digest) {
        if let Some(session) = self.host.sessions().take(self.name(), digest) {
            session.cancel(self);
        }
    }

    /// Remembers that content is there.
    fn saw(&self, descriptor: &Descriptor) {
        self.host.memory().saw(&self.repository, descriptor);
    }

    fn about<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| error.target(&self.repository))
    }
}

#[async_trait]
impl Source for RemoteRepository {
    async fn resolve(&self, at: &Selector) -> Result<Descriptor> {
        let resolved = manifests::resolve(self, at).await;
        sighted::resolved(self.host.memory(), &self.repository, at, &resolved);
        self.about(resolved)
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        let fetched = manifests::fetch(self, descriptor).await;
        if let Ok(manifest) = &fetched {
            sighted::fetched(self.host.memory(), &self.repository, manifest);
        }
        self.about(fetched)
    }

    fn place(&self) -> Option<String> {
        Some(self.repository.to_string())
    }

    fn blob(&self, descriptor: &Descriptor) -> Blob {
        blobs::open(self, descriptor)
    }

    async fn blob_size(&self, digest: &Digest) -> Result<u64> {
        self.about(blobs::size(self, digest).await)
    }

    async fn precheck(&self, _: &Descriptor) -> Result<()> {
        Ok(())
    }

    async fn tags(&self, after: Option<&Tag>, limit: usize) -> Result<Vec<Tag>> {
        self.about(manifests::tags(self, after, limit).await)
    }

    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        self.about(referrers::list(self, subject).await)
    }
}

#[async_trait]
impl Store for RemoteRepository {
    fn prepare(&self) {
        self.written.store(true, Ordering::Relaxed);
    }

    async fn contains(&self, descriptor: &Descriptor) -> Result<bool> {
        self.prepare();
        let contains = if descriptor.media_type.is_manifest() {
            manifests::contains(self, descriptor).await
        } else {
            blobs::contains(self, descriptor).await
        };
        match contains {
            Ok(true) => {
                self.saw(descriptor);
                // It came in another way, or the answer to its commit was lost.
                self.end_session(&descriptor.digest);
            }
            Ok(false) => self.host.memory().missed(&self.repository, descriptor),
            Err(_) => {}
        }
        self.about(contains)
    }

    async fn put_blob(&self, blob: &Blob) -> Result<Outcome> {
        let digest = &blob.descriptor().digest;
        let upload = upload::put(self, blob);
        let put = self.host.uploads().once(self.name(), digest, upload).await;
        if put.is_ok() {
            self.saw(blob.descriptor());
        }
        put.map_err(|error| match error.failed_side() {
            // What the source said names the source, not this repository.
            Some(wharf_core::Side::Source) => error,
            _ => error
                .target(format_args!("blob {}", blob.descriptor().digest))
                .target(&self.repository),
        })
    }

    async fn ingest(&self, media_type: &MediaType, stream: ByteStream) -> Result<Descriptor> {
        let once = OneShot::new(stream);
        let ingested = self.ingest_from(media_type, &once).await;
        // Nobody else can go on with it.
        self.end_session(once.key());
        ingested
    }

    async fn ingest_from(&self, media_type: &MediaType, intake: &dyn Intake) -> Result<Descriptor> {
        let ingested = upload::ingest(self, media_type, intake).await;
        if let Ok(descriptor) = &ingested {
            self.saw(descriptor);
        }
        ingested.map_err(|error| match error.failed_side() {
            Some(wharf_core::Side::Source) => error,
            _ => error.target(&self.repository),
        })
    }

    async fn put_manifest(&self, manifest: &Manifest, tag: Option<&Tag>) -> Result<()> {
        let put = manifests::put(self, manifest, tag).await;
        if put.is_ok() {
            self.saw(manifest.descriptor());
            if let Some(tag) = tag {
                let memory = self.host.memory();
                memory.saw_tag(&self.repository, tag, manifest.digest());
            }
        }
        self.about(put)
    }

    async fn put_tags(&self, manifest: &Manifest, tags: &[Tag]) -> Result<()> {
        let put = manifests::put_tags(self, manifest, tags).await;
        if put.is_ok() {
            let memory = self.host.memory();
            self.saw(manifest.descriptor());
            for tag in tags {
                memory.saw_tag(&self.repository, tag, manifest.digest());
            }
        }
        self.about(put)
    }

    async fn delete(&self, at: &Selector) -> Result<()> {
        let deleted = delete::delete(self, at).await;
        if deleted.is_ok() {
            sighted::deleted(self.host.memory(), &self.repository, at);
        }
        self.about(deleted)
    }

    fn recalls(&self, manifest: &Descriptor, tag: Option<&Tag>) -> bool {
        let memory = self.host.memory();
        match tag {
            None => memory.recalls(&self.repository, manifest),
            Some(tag) => {
                memory.recalls_tag(&self.repository, tag).as_ref() == Some(&manifest.digest)
            }
        }
    }

    fn mount_source(&self, blob: &Descriptor) -> Option<Repository> {
        let name = self.elsewhere(&blob.digest)?;
        Repository::new(self.repository.registry().clone(), name).ok()
    }

    fn asks_when_putting(&self, blob: &Descriptor) -> bool {
        upload::asks_first(self, blob.size)
    }

    fn give_up(&self, blobs: &[Digest]) {
        for digest in blobs {
            self.end_session(digest);
        }
    }

    async fn flush(&self) -> Result<()> {
        Ok(())
    }
}
