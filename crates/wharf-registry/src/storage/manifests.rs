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
use wharf_core::blob::ByteStream;
use wharf_core::{Error, ErrorKind, Result, verify};
use wharf_oci::{Descriptor, Digest, Hasher, Manifest, RepositoryName, Selector, Tag};

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
                let named = found.and_then(|found| link::parse_tag(&key, &found.bytes));
                named.ok_or_else(|| missing(at))?
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

    /// The bytes of a manifest in a stream. They are checked before it begins.
    ///
    /// # Errors
    /// As [`Storage::manifest`].
    pub async fn manifest_stream(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<ByteStream> {
        let link = self.link(name, digest).await?;
        let content = link.ok_or_else(|| missing(digest))?.content;
        let key = Key::Content(content.clone());
        let size = self.driver.stat(&key).await?;
        let size = size.ok_or_else(|| missing(digest))?.size;
        let open = async || {
            let stream = self.driver.read(&key, 0, size).await?;
            stream.ok_or_else(|| missing(digest))
        };
        let (mut bytes, mut hasher) = (open().await?, Hasher::new(content.algorithm()));
        while let Some(chunk) = bytes.next().await.transpose()? {
            hasher = verify::update(hasher, chunk).await?.0;
        }
        let found = hasher.finish();
        if found != content {
            return Err(Error::digest_mismatch(&content, &found));
        }
        open().await
    }

    /// Whether a repository has this manifest or blob, and of this size.
    pub async fn contains(&self, name: &RepositoryName, descriptor: &Descriptor) -> Result<bool> {
        Ok(self.size_of(name, descriptor).await? == Some(descriptor.size))
    }

    /// The size of a manifest or blob in bytes, which may be another than its descriptor states;
    /// `None` if the repository does not have it.
    pub async fn size_of(
        &self,
        name: &RepositoryName,
        descriptor: &Descriptor,
    ) -> Result<Option<u64>> {
        let digest = &descriptor.digest;
        let content = match self.link(name, digest).await? {
            Some(link) => link.content,
            None if self.has_blob(name, digest).await? => digest.clone(),
            None => return Ok(None),
        };
        let key = Key::Content(content);
        match self.driver.stat(&key).await? {
            // Content of unknown length may be cut short: a touch looks at it.
            Some(stat) if stat.size != descriptor.size && !self.driver.touch(&key).await? => {
                Ok(None)
            }
            found => Ok(found.map(|stat| stat.size)),
        }
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

    /// Deletes as [`Storage::delete`] does, where `condition` holds for what is deleted. For a tag
    /// it is decided together with the deletion.
    ///
    /// # Errors
    /// As [`Storage::delete`]; a name that is not there is [`ErrorKind::NotFound`] whatever the
    /// condition says.
    pub async fn delete_if(
        &self,
        name: &RepositoryName,
        at: &Selector,
        condition: &Condition,
    ) -> Result<Written> {
        let key = key_of(name, at);
        for _ in 0..TRIES {
            let found = self.driver.get(&key).await?;
            let current = self.named(name, at, found.as_ref()).await?;
            let (Some(found), Some(digest)) = (found, current) else {
                return Err(missing(at));
            };
            if !condition.holds(Some(&digest)) {
                return Ok(Written::Declined);
            }
            let deleted = match at {
                Selector::Tag(_) => self.driver.delete(&key, Some(&found.version)).await?,
                Selector::Digest(digest) => self.delete_manifest(name, digest).await?,
            };
            if deleted {
                return Ok(Written::Done);
            }
        }
        Err(busy())
    }

    pub(super) async fn link(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<ManifestLink>> {
        let key = Key::ManifestLink(name.clone(), digest.clone());
        let found = self.driver.get(&key).await?;
        Ok(found.and_then(|found| ManifestLink::parse(&key, &found.bytes)))
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

    /// Whether a condition holds if its name has this object, or none.
    async fn holds(
        &self,
        name: &RepositoryName,
        condition: &Condition,
        found: Option<&Object>,
    ) -> Result<bool> {
        let current = self.named(name, &condition.at, found).await?;
        Ok(condition.holds(current.as_ref()))
    }

    /// The digest of the manifest that a name with this object, or none, stands for. A broken link
    /// and a tag without its manifest count as absent.
    async fn named(
        &self,
        name: &RepositoryName,
        at: &Selector,
        found: Option<&Object>,
    ) -> Result<Option<Digest>> {
        let (key, Some(found)) = (key_of(name, at), found) else {
            return Ok(None);
        };
        match at {
            Selector::Digest(digest) => {
                let link = ManifestLink::parse(&key, &found.bytes);
                Ok(link.map(|_| digest.clone()))
            }
            Selector::Tag(_) => {
                let Some(digest) = link::parse_tag(&key, &found.bytes) else {
                    return Ok(None);
                };
                Ok(self.link(name, &digest).await?.map(|_| digest))
            }
        }
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
            let is_kept = |found: Object| {
                ManifestLink::parse(&key, &found.bytes).is_some()
                    && !ManifestLink::is_leaving(&found.bytes)
            };
            if !found.is_some_and(is_kept) {
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
        let found = self.driver.get(&key).await?;
        let whole = found.filter(|found| ManifestLink::parse(&key, &found.bytes).is_some());
        let Some(found) = whole else {
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
            let Some(link) = ManifestLink::parse(&key, &found.bytes) else {
                return Ok(());
            };
            let leaving = link.leaving();
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
                && link::parse_tag(&key, &found.bytes).as_ref() == Some(digest)
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
    let message = "other requests kept writing to this repository; try again";
    Error::new(ErrorKind::Busy, message)
}
