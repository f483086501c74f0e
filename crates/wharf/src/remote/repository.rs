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
use super::{blobs, manifests, upload};
use crate::Result;
use crate::blob::{Blob, ByteStream};
use crate::store::{Outcome, Source, Store};

/// One repository of a registry. Cheap to clone.
///
/// Its methods try once; trying again is the business of [`crate::copy`].
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
        auth::send(self, request).await
    }

    /// Sends a request as it is.
    pub(super) async fn dispatch(&self, request: Request) -> Result<Response> {
        let response = self.transport.send(request).await?;
        self.host.notice(&response);
        Ok(response)
    }

    /// Another repository of the registry that is believed to have a blob (PUSH.md E4).
    pub(super) fn elsewhere(&self, _: &Digest) -> Option<RepositoryName> {
        None
    }

    /// That belief was wrong.
    pub(super) fn forget_elsewhere(&self, _: &str, _: &Digest) {}

    fn about<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| error.target(&self.repository))
    }
}

#[async_trait]
impl Source for RemoteRepository {
    async fn resolve(&self, at: &Selector) -> Result<Descriptor> {
        self.about(manifests::resolve(self, at).await)
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        self.about(manifests::fetch(self, descriptor).await)
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
        self.about(contains)
    }

    async fn put_blob(&self, blob: &Blob) -> Result<Outcome> {
        let digest = &blob.descriptor().digest;
        let upload = upload::put(self, blob);
        let put = self.host.uploads().once(self.name(), digest, upload).await;
        put.map_err(|error| match error.failed_side() {
            // What the source said names the source, not this repository.
            Some(crate::Side::Source) => error,
            _ => error
                .target(format_args!("blob {}", blob.descriptor().digest))
                .target(&self.repository),
        })
    }

    async fn ingest(&self, media_type: &MediaType, stream: ByteStream) -> Result<Descriptor> {
        let ingested = upload::ingest(self, media_type, stream).await;
        ingested.map_err(|error| match error.failed_side() {
            Some(crate::Side::Source) => error,
            _ => error.target(&self.repository),
        })
    }

    async fn put_manifest(&self, manifest: &Manifest, tag: Option<&Tag>) -> Result<()> {
        self.about(manifests::put(self, manifest, tag).await)
    }

    fn asks_when_putting(&self, blob: &Descriptor) -> bool {
        upload::asks_first(self, blob.size)
    }

    fn give_up(&self) {
        for session in self.host.sessions().take_all(self.name()) {
            session.cancel(self);
        }
    }

    async fn flush(&self) -> Result<()> {
        Ok(())
    }
}
