//! The one abstraction: what content is read from, and what it is written to.
//!
//! A source or store is *one repository*: in a registry, a layout directory, an archive, memory.

pub mod archive;
mod files;
mod layout;
mod memory;
mod referrers;

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use wharf_oci::{Descriptor, Digest, Manifest, MediaType, Repository, Selector, Tag};

pub use self::layout::{Entry, Layout, WholeLayout};
pub use self::memory::Memory;
use crate::blob::Blob;
use crate::intake::Intake;
use crate::{Error, ErrorKind, Result};

/// Anything content can be read from.
#[async_trait]
pub trait Source: Debug + Send + Sync {
    /// What `at` names: the descriptor of a manifest.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] where nothing has that name.
    async fn resolve(&self, at: &Selector) -> Result<Descriptor>;

    /// A manifest's exact bytes, checked against the descriptor, and their parsed form.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`], [`crate::ErrorKind::Corrupt`] where bytes and digest
    /// disagree, [`crate::ErrorKind::Invalid`] where it is no manifest.
    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest>;

    /// A handle to a blob. No input or output happens until it is opened.
    fn blob(&self, descriptor: &Descriptor) -> Blob;

    /// The size in bytes of a blob known by digest only (schema 1 manifests carry no sizes).
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] where it is not here.
    async fn blob_size(&self, digest: &Digest) -> Result<u64>;

    /// Says early that content cannot be read, where that can be known at no cost of a request:
    /// a file that is missing, or not as long as the descriptor says.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] or [`crate::ErrorKind::Corrupt`], naming the file.
    async fn precheck(&self, descriptor: &Descriptor) -> Result<()>;

    /// At most `limit` tags in lexical order, those after `after` (exclusive) where given.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] where the repository does not exist.
    async fn tags(&self, after: Option<&Tag>, limit: usize) -> Result<Vec<Tag>>;

    /// What messages call this source: a repository, a directory, a file.
    fn place(&self) -> Option<String> {
        None
    }

    /// The manifests whose subject is `subject`, as descriptors with artifact type and annotations
    /// (distribution-spec: "Listing Referrers"). None, where there are none or no such subject.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] where this source cannot tell.
    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        Err(unsupported("referrers cannot be listed here").target(subject))
    }
}

/// Anything content can be written to. Writes are idempotent by digest.
#[async_trait]
pub trait Store: Source {
    /// Told before a copy into this store asks it anything, so that it asks with the rights of
    /// one who writes.
    fn prepare(&self) {}

    /// Whether a blob or manifest of this digest is here; its size is compared where known.
    ///
    /// # Errors
    /// Only where the question could not be asked: "unknown" is answered with `false`.
    async fn contains(&self, descriptor: &Descriptor) -> Result<bool>;

    /// Writes a blob whole, or not at all. Asks nothing first: that is `contains`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] where the blob's bytes are not what it promises; what the
    /// store says otherwise.
    async fn put_blob(&self, blob: &Blob) -> Result<Outcome>;

    /// Writes content whose digest is not known yet, and learns it. [`crate::intake::once`] makes
    /// an intake of a stream.
    ///
    /// A try that broke off may leave a partial upload, which the next try with the same key
    /// ([`Intake::key`]) continues, until [`Store::give_up`] gets that key.
    ///
    /// # Errors
    /// What the intake or the store says; then nothing else is left behind.
    async fn ingest(&self, media_type: &MediaType, intake: Arc<dyn Intake>) -> Result<Descriptor>;

    /// Writes a manifest's exact bytes, by digest and under `tag` where given.
    /// What it links to must be here already.
    ///
    /// # Errors
    /// What the store says.
    async fn put_manifest(&self, manifest: &Manifest, tag: Option<&Tag>) -> Result<()>;

    /// Writes a manifest that a copy started from: as `put_manifest`, but it must be found again
    /// even without a tag.
    ///
    /// # Errors
    /// What the store says.
    async fn put_root(&self, manifest: &Manifest, tag: Option<&Tag>) -> Result<()> {
        self.put_manifest(manifest, tag).await
    }

    /// Whether `put_blob` finds out by itself, with the same request, that a blob of this size is
    /// there: then it need not be asked for before.
    fn asks_when_putting(&self, blob: &Descriptor) -> bool {
        let _ = blob;
        false
    }

    /// Whether this store is believed to hold `manifest`, under `tag` where given, from what was
    /// seen of it before, without asking it: a hint for the order of questions, never an answer.
    fn recalls(&self, manifest: &Descriptor, tag: Option<&Tag>) -> bool {
        let _ = (manifest, tag);
        false
    }

    /// Another repository of the same registry that probably has a blob and can be tried as the
    /// source of a mount. A hint.
    fn mount_source(&self, blob: &Descriptor) -> Option<Repository> {
        let _ = blob;
        None
    }

    /// Puts a manifest that is here under further tags: with one request where a registry is known
    /// to take several tags, else with one for each tag.
    ///
    /// # Errors
    /// What the store says.
    async fn put_tags(&self, manifest: &Manifest, tags: &[Tag]) -> Result<()> {
        for tag in tags {
            self.put_root(manifest, Some(tag)).await?;
        }
        Ok(())
    }

    /// Takes a tag away, or a manifest with all its tags (distribution-spec: "Content Management").
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] where nothing has that name,
    /// [`crate::ErrorKind::Unsupported`] where nothing can be deleted.
    async fn delete(&self, at: &Selector) -> Result<()> {
        Err(unsupported("nothing can be deleted here").target(at))
    }

    /// Called when a copy of `blobs` into this store is given up, also when its future is dropped.
    /// Cancels what the copy had begun, in the background, best effort. Must not block.
    fn give_up(&self, blobs: &[Digest]) {
        let _ = blobs;
    }

    /// Makes everything written so far durable; a copy calls it last.
    ///
    /// # Errors
    /// What the store says.
    async fn flush(&self) -> Result<()>;
}

fn unsupported(message: &str) -> Error {
    Error::new(ErrorKind::Unsupported, message)
}

/// How content came to be in a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was there.
    Existed,
    /// The registry linked it from another repository.
    Mounted,
    /// Its bytes were moved.
    Written,
}
