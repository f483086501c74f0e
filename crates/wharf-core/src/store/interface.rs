//! What every source and every store does.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use wharf_oci::{Descriptor, Digest, Manifest, MediaType, Selector, Tag};

use super::hints::{Hints, NoHints};
use super::pulse::Pulse;
use crate::blob::Blob;
use crate::intake::Intake;
use crate::{Error, ErrorKind, Result};

/// Anything content can be read from.
#[async_trait]
pub trait Source: Debug + Send + Sync {
    /// The descriptor of the manifest that `at` names.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] if nothing has that name.
    async fn resolve(&self, at: &Selector) -> Result<Descriptor>;

    /// A manifest's exact bytes, checked against the descriptor, and their parsed form.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`]; [`crate::ErrorKind::Corrupt`] if bytes and digest disagree;
    /// [`crate::ErrorKind::Invalid`] if it is not a manifest.
    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest>;

    /// A handle to a blob. No input or output happens until it is opened.
    fn blob(&self, descriptor: &Descriptor) -> Blob;

    /// At most `limit` tags in lexical order, beginning after `after` (exclusive) if given.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] if the repository does not exist,
    /// [`crate::ErrorKind::Unsupported`] if this source cannot tell.
    async fn tags(&self, after: Option<&Tag>, limit: usize) -> Result<Vec<Tag>> {
        let _ = (after, limit);
        Err(unsupported("tags cannot be listed here"))
    }

    /// The size in bytes of a blob known by digest only (schema 1 manifests carry no sizes).
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] if it is not here, [`crate::ErrorKind::Unsupported`] if
    /// this source cannot tell.
    async fn blob_size(&self, digest: &Digest) -> Result<u64> {
        Err(unsupported("sizes of blobs are not known here").target(digest))
    }

    /// Fails early if content cannot be read, as far as that is known without a request: a file is
    /// missing, or does not have the stated size.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] or [`crate::ErrorKind::Corrupt`], naming the file.
    async fn precheck(&self, descriptor: &Descriptor) -> Result<()> {
        let _ = descriptor;
        Ok(())
    }

    /// Compares content with what the source says of it where only reading tells, such as the diff
    /// id of a compressed layer. A copy calls it beside the moving of a blob, whether or not the
    /// store has the blob already, and puts no manifest before it succeeds.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] if they disagree, naming the file.
    async fn confirm(&self, descriptor: &Descriptor) -> Result<()> {
        let _ = descriptor;
        Ok(())
    }

    /// How work with this source, or with its registry, goes. With it a copy is patient in trouble
    /// that other copies have too; without it, in that of its own work only.
    fn pulse(&self) -> Option<Arc<Pulse>> {
        None
    }

    /// The same source without retries of its own, if it has some. Work that is tried again as a
    /// whole, such as a copy, uses that one: tries do not multiply.
    fn raw_source(&self) -> Option<&dyn Source> {
        None
    }

    /// The name of this source in messages: a repository, a directory, a file.
    fn place(&self) -> Option<String> {
        None
    }

    /// The manifests with this subject, as descriptors with artifact type and annotations
    /// (distribution-spec: "Listing Referrers"). Empty if there are none or no such subject.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] if this source cannot tell.
    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        Err(unsupported("referrers cannot be listed here").target(subject))
    }
}

/// Anything content can be written to. Writes are idempotent by digest.
#[async_trait]
pub trait Store: Source {
    /// Whether a blob or manifest of this digest is here. The size of a blob is compared where known.
    ///
    /// # Errors
    /// Only if the store could not be asked; "unknown" is `false`.
    async fn contains(&self, descriptor: &Descriptor) -> Result<bool>;

    /// What is here under the digest of a blob or manifest. Unlike [`Store::contains`] it tells
    /// content of another length from none.
    ///
    /// # Errors
    /// As [`Store::contains`].
    async fn holding(&self, descriptor: &Descriptor) -> Result<Holding> {
        let whole = self.contains(descriptor).await?;
        Ok(if whole {
            Holding::Whole
        } else {
            Holding::Absent
        })
    }

    /// Writes a blob whole, or not at all. Does not check existence first: that is `contains`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] if the bytes do not match the blob's descriptor; otherwise the
    /// store's error.
    async fn put_blob(&self, blob: &Blob) -> Result<Outcome>;

    /// Writes content of unknown digest, and learns the digest. [`crate::intake::once`] makes
    /// an intake of a stream.
    ///
    /// A try that broke off may leave a partial upload, which the next try with the same key
    /// ([`Intake::key`]) continues, until [`Hints::give_up`] gets that key.
    ///
    /// # Errors
    /// What the intake or the store says; then nothing else is left behind.
    async fn ingest(&self, media_type: &MediaType, intake: Arc<dyn Intake>) -> Result<Descriptor>;

    /// Writes a manifest's exact bytes by digest, and under the tags in `names`. What it links to
    /// must be here already. Tags that named another manifest move.
    ///
    /// # Errors
    /// What the store says; some of several tags may be set then.
    async fn put_manifest(&self, manifest: &Manifest, names: Names<'_>) -> Result<()>;

    /// Deletes a tag, or a manifest with all its tags (distribution-spec: "Content Management").
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] if nothing has that name, [`crate::ErrorKind::Unsupported`]
    /// if nothing can be deleted here.
    async fn delete(&self, at: &Selector) -> Result<()> {
        Err(unsupported("nothing can be deleted here").target(at))
    }

    /// Makes everything written so far durable; a copy calls it last.
    ///
    /// # Errors
    /// What the store says.
    async fn flush(&self) -> Result<()> {
        Ok(())
    }

    /// Whether it must have non-distributable layers too, whatever the options of a copy say, because
    /// an image without them cannot be read from it.
    fn needs_all_layers(&self) -> bool {
        false
    }

    /// The same store without retries of its own, as [`Source::raw_source`].
    fn raw_store(&self) -> Option<&dyn Store> {
        None
    }

    /// What the store knows that saves a copy requests.
    fn hints(&self) -> &dyn Hints {
        &NoHints
    }
}

/// The names of a manifest in addition to its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names<'a> {
    /// No other name: another manifest links to it.
    Child,
    /// These tags. Without tags too it is a root: a store that lists its roots lists it.
    Root(&'a [Tag]),
}

impl<'a> Names<'a> {
    /// The tags among the names.
    pub fn tags(self) -> &'a [Tag] {
        match self {
            Names::Child => &[],
            Names::Root(tags) => tags,
        }
    }
}

/// As a reference names it.
impl<'a> From<Option<&'a Tag>> for Names<'a> {
    fn from(tag: Option<&'a Tag>) -> Self {
        Names::Root(tag.map(std::slice::from_ref).unwrap_or_default())
    }
}

fn unsupported(message: &str) -> Error {
    Error::new(ErrorKind::Unsupported, message)
}

/// What a store has under a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// Nothing, as far as it says.
    Absent,
    /// The content, by its digest and, where known, its length.
    Whole,
    /// Content of this other length in bytes: it was cut off, or is not what its name says.
    Other(u64),
}

/// How content got into a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was there.
    Existed,
    /// The registry linked it from another repository.
    Mounted,
    /// Its bytes were moved.
    Written,
}
