//! Manifests and tags: read, written under a condition, deleted.
//!
//! No lock separates changes to a manifest, because a driver may have none. Each object changes by
//! its own conditional write, and each change ends with a check for concurrent changes:
//!
//! - A put writes referrer link, link, tags. Then it checks all of them again. Objects that a
//!   deletion removed meanwhile are written again, so the put is the later of the two.
//! - A deletion first marks the link as leaving, then removes the tags, then the link, but only if
//!   it still has the mark. A put in between replaces the mark; then the deletion starts again. A
//!   manifest that is leaving is still there.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use wharf_core::{Error, ErrorKind, Result};
use wharf_oci::{Descriptor, Digest, Manifest, RepositoryName, Selector, Tag};

use super::link::{self, ManifestLink};
use super::repositories::missing;
use super::{Condition, Storage, Written};
use crate::driver::{Applied, Folder, Key, Object, When};

/// The most tries of a change. Between two tries another request has made progress.
const TRIES: usize = 100;

/// Questions to the driver at a time.
pub(super) const QUESTIONS: usize = 8;

impl Storage {
    /// The descriptor of a manifest, without annotations.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the repository does not have it.
    pub async fn resolve(&self, name: &RepositoryName, at: &Selector) -> Result<Descriptor> {
        let digest = match at {
            Selector::Digest(digest) => digest.clone(),
            Selector::Tag(tag) => {
                let key = Key::Tag(name.clone(), tag.clone());
                let found = self.driver.get(&key).await?;
                link::parse_tag(&key, &found.ok_or_else(|| missing(at))?.bytes)?
            }
        };
        let link = self.link(name, &digest).await?;
        let link = link.ok_or_else(|| missing(&digest))?;
        let content = self.driver.stat(&Key::Content(link.content)).await?;
        let size = content.ok_or_else(|| missing(&digest))?.size;
        Ok(Descriptor::new(link.media_type, digest, size))
    }

    /// A manifest, in the bytes that it was put with.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the repository does not have it, [`ErrorKind::Corrupt`] if
    /// its bytes are not what they should be.
    pub async fn manifest(&self, name: &RepositoryName, digest: &Digest) -> Result<Manifest> {
        let link = self.link(name, digest).await?;
        let link = link.ok_or_else(|| missing(digest))?;
        let content = self.driver.get(&Key::Content(link.content)).await?;
        let bytes = content.ok_or_else(|| missing(digest))?.bytes;
        Manifest::parse_as(Some(&link.media_type), bytes, digest)
            .map_err(|error| Error::new(ErrorKind::Corrupt, error.to_string()))
    }

    /// Whether a repository has this manifest or blob, and of this size.
    pub async fn contains(&self, name: &RepositoryName, descriptor: &Descriptor) -> Result<bool> {
        let digest = &descriptor.digest;
        let content = match self.link(name, digest).await? {
            Some(link) => link.content,
            None if self.has_blob(name, digest).await? => digest.clone(),
            None => return Ok(false),
        };
        let found = self.driver.stat(&Key::Content(content)).await?;
        Ok(found.is_some_and(|stat| stat.size == descriptor.size))
    }

    /// Writes a manifest, by digest and under all of `tags`, where `condition` holds. The
    /// condition is on the digest, or on a tag among these, and is decided with that write: no
    /// other write to it happens between.
    ///
    /// Content that it links to must be here already; its subject may come later, or never. A put
    /// that is declined because another put was faster has moved no tag; its manifest may be there.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] if other requests write to the same names all the time. Some of the
    /// tags may have moved then.
    pub async fn put_manifest(
        &self,
        name: &RepositoryName,
        manifest: &Manifest,
        tags: &[Tag],
        condition: Option<&Condition>,
    ) -> Result<Written> {
        if let Some(condition) = condition {
            let found = self.driver.get(&key_of(name, &condition.at)).await?;
            if !self.holds(name, condition, found.as_ref()).await? {
                return Ok(Written::Declined);
            }
        }
        let link = ManifestLink::of(manifest);
        let content = Key::Content(link.content.clone());
        let bytes = manifest.bytes().clone();
        self.driver.put(&content, bytes, When::Always).await?;
        self.mark(name).await?;
        self.refer(name, manifest, When::Always).await?;
        let (digest, bytes) = (manifest.digest(), link.to_bytes());
        let key = Key::ManifestLink(name.clone(), digest.clone());
        if self.write(name, &key, bytes, condition).await? == Written::Declined {
            return Ok(Written::Declined);
        }
        for tag in tags {
            let key = Key::Tag(name.clone(), tag.clone());
            let bytes = link::tag_to_bytes(digest);
            if self.write(name, &key, bytes, condition).await? == Written::Declined {
                return Ok(Written::Declined);
            }
        }
        self.settle(name, manifest, &link, tags).await?;
        Ok(Written::Done)
    }

    /// Deletes a tag, or a manifest with its tags and its referrer link.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if it is not there, [`ErrorKind::Busy`] if others put the
    /// manifest all the time. Some of the tags may be gone then.
    pub async fn delete(&self, name: &RepositoryName, at: &Selector) -> Result<()> {
        let deleted = match at {
            Selector::Tag(_) => self.driver.delete(&key_of(name, at), None).await?,
            Selector::Digest(digest) => self.delete_manifest(name, digest).await?,
        };
        if deleted { Ok(()) } else { Err(missing(at)) }
    }

    pub(super) async fn link(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<ManifestLink>> {
        let key = Key::ManifestLink(name.clone(), digest.clone());
        let found = self.driver.get(&key).await?;
        let link = found.map(|found| ManifestLink::parse(&key, &found.bytes));
        link.transpose()
    }

    /// Writes one object, under the condition if that is on this object.
    async fn write(
        &self,
        name: &RepositoryName,
        key: &Key,
        bytes: Bytes,
        condition: Option<&Condition>,
    ) -> Result<Written> {
        let condition = condition.filter(|condition| key_of(name, &condition.at) == *key);
        let Some(condition) = condition else {
            self.driver.put(key, bytes, When::Always).await?;
            return Ok(Written::Done);
        };
        for _ in 0..TRIES {
            let found = self.driver.get(key).await?;
            if !self.holds(name, condition, found.as_ref()).await? {
                return Ok(Written::Declined);
            }
            let when = found.map_or(When::Absent, |found| When::Is(found.version));
            let put = self.driver.put(key, bytes.clone(), when).await?;
            if matches!(put, Applied::Done(_)) {
                return Ok(Written::Done);
            }
        }
        Err(busy())
    }

    /// Whether a condition holds if its name has this object, or none. A tag without its manifest
    /// counts as absent.
    async fn holds(
        &self,
        name: &RepositoryName,
        condition: &Condition,
        found: Option<&Object>,
    ) -> Result<bool> {
        let current = match (&condition.at, found) {
            (_, None) => None,
            (Selector::Digest(digest), Some(_)) => Some(digest.clone()),
            (Selector::Tag(_), Some(found)) => {
                let digest = link::parse_tag(&key_of(name, &condition.at), &found.bytes)?;
                let link = Key::ManifestLink(name.clone(), digest.clone());
                self.driver.stat(&link).await?.map(|_| digest)
            }
        };
        Ok(condition.holds(current.as_ref()))
    }

    /// Writes again the objects that a deletion removed meanwhile.
    async fn settle(
        &self,
        name: &RepositoryName,
        manifest: &Manifest,
        link: &ManifestLink,
        tags: &[Tag],
    ) -> Result<()> {
        let (digest, tagged) = (manifest.digest(), link::tag_to_bytes(manifest.digest()));
        let key = Key::ManifestLink(name.clone(), digest.clone());
        for _ in 0..TRIES {
            let mut whole = self.refer(name, manifest, When::Absent).await? == Applied::Declined;
            let found = self.driver.get(&key).await?;
            if found.is_none_or(|found| ManifestLink::is_leaving(&found.bytes)) {
                self.driver.put(&key, link.to_bytes(), When::Always).await?;
                whole = false;
            }
            for tag in tags {
                let (key, tagged) = (Key::Tag(name.clone(), tag.clone()), tagged.clone());
                let put = self.driver.put(&key, tagged, When::Absent).await?;
                whole &= put == Applied::Declined;
            }
            if whole {
                return Ok(());
            }
        }
        Err(busy())
    }

    /// Deletes a manifest; whether it was there.
    async fn delete_manifest(&self, name: &RepositoryName, digest: &Digest) -> Result<bool> {
        let key = Key::ManifestLink(name.clone(), digest.clone());
        let Some(found) = self.driver.get(&key).await? else {
            return Ok(false);
        };
        // The subject of broken bytes is unknown.
        let manifest = self.manifest(name, digest).await.ok();
        self.unlink(name, digest, found).await?;
        if let Some(manifest) = manifest {
            self.unrefer(name, &manifest).await?;
        }
        Ok(true)
    }

    /// Removes the tags of a manifest, then its link.
    async fn unlink(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        mut found: Object,
    ) -> Result<()> {
        let key = Key::ManifestLink(name.clone(), digest.clone());
        for _ in 0..TRIES {
            let leaving = ManifestLink::parse(&key, &found.bytes)?.leaving();
            let when = When::Is(found.version);
            let marked = self.driver.put(&key, leaving, when).await?;
            if let Applied::Done(mark) = marked {
                self.untag(name, digest).await?;
                if self.driver.delete(&key, Some(&mark)).await? {
                    return Ok(());
                }
            }
            found = match self.driver.get(&key).await? {
                Some(next) => next,
                // Another request has deleted it.
                None => return Ok(()),
            };
        }
        Err(busy())
    }

    /// Removes the tags of a manifest.
    async fn untag(&self, name: &RepositoryName, digest: &Digest) -> Result<()> {
        let tags = stream::iter(self.all(&Folder::Tags(name.clone())).await?);
        let removals = tags.map(|key| async move {
            if let Some(found) = self.driver.get(&key).await?
                && link::parse_tag(&key, &found.bytes)? == *digest
            {
                // A tag that was moved meanwhile stays.
                self.driver.delete(&key, Some(&found.version)).await?;
            }
            Ok(())
        });
        removals.buffered(QUESTIONS).try_collect().await
    }
}

/// The object that a tag or a digest stands for.
fn key_of(name: &RepositoryName, at: &Selector) -> Key {
    match at {
        Selector::Tag(tag) => Key::Tag(name.clone(), tag.clone()),
        Selector::Digest(digest) => Key::ManifestLink(name.clone(), digest.clone()),
    }
}

fn busy() -> Error {
    let message = "other requests write to this repository all the time";
    Error::new(ErrorKind::Busy, message)
}
