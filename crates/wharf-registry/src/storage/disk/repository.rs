//! One repository of a storage directory, as the library's store.

use std::sync::Arc;
use std::{fs, slice};

use async_trait::async_trait;
use futures::FutureExt;
use wharf_core::blob::Blob;
use wharf_core::intake::Intake;
use wharf_core::store::{Outcome, Source, Store};
use wharf_core::verify::blocking;
use wharf_core::{Error, ErrorKind, Result, file};
use wharf_oci::{Descriptor, Digest, Manifest, MediaType, RepositoryName, Selector, Tag};

use super::link::{self, ManifestLink};
use super::manifests;
use super::storage::Disk;
use super::tree::{self, Tree, at};
use crate::storage::{ReferrersQuery, Storage};

/// A repository; whatever is written is durable when the call returns.
#[derive(Clone, Debug)]
pub(super) struct DiskRepository {
    disk: Disk,
    name: RepositoryName,
}

impl DiskRepository {
    pub(super) fn new(disk: Disk, name: RepositoryName) -> Self {
        DiskRepository { disk, name }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Tree, &RepositoryName) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (tree, name) = (Arc::clone(&self.disk.tree), self.name.clone());
        blocking(move || work(&tree, &name)).await?
    }
}

#[async_trait]
impl Source for DiskRepository {
    async fn resolve(&self, selector: &Selector) -> Result<Descriptor> {
        let selector = selector.clone();
        self.run(move |tree, name| {
            let digest = match selector {
                Selector::Tag(tag) => {
                    link::tagged(tree, name, &tag)?.ok_or_else(|| missing(tag))?
                }
                Selector::Digest(digest) => digest,
            };
            let link = ManifestLink::find(tree, name, &digest)?.ok_or_else(|| missing(&digest))?;
            let path = tree.content(&link.content);
            let size = fs::metadata(&path).map_err(|e| at(&path, e))?.len();
            Ok(Descriptor::new(link.media_type, digest, size))
        })
        .await
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        let digest = descriptor.digest.clone();
        self.run(move |tree, name| {
            let link = ManifestLink::find(tree, name, &digest)?.ok_or_else(|| missing(&digest))?;
            let path = tree.content(&link.content);
            let bytes = fs::read(&path).map_err(|e| at(&path, e))?;
            Manifest::parse_as(Some(&link.media_type), bytes.into(), &digest)
                .map_err(|error| Error::new(ErrorKind::Corrupt, error.to_string()))
        })
        .await
    }

    fn blob(&self, descriptor: &Descriptor) -> Blob {
        let (repository, wanted) = (self.clone(), descriptor.clone());
        Blob::new(descriptor.clone(), move |offset| {
            let (repository, digest) = (repository.clone(), wanted.digest.clone());
            async move {
                let found = repository
                    .run(move |tree, name| linked(tree, name, &digest))
                    .await?;
                let start = offset.min(found.length);
                let stream = file::region(found.file, &found.name, start, found.length - start);
                Ok(stream)
            }
            .boxed()
        })
    }

    async fn blob_size(&self, digest: &Digest) -> Result<u64> {
        let digest = digest.clone();
        self.run(move |tree, name| linked(tree, name, &digest).map(|found| found.length))
            .await
    }

    async fn precheck(&self, descriptor: &Descriptor) -> Result<()> {
        if self.contains(descriptor).await? {
            return Ok(());
        }
        Err(missing(&descriptor.digest))
    }

    async fn tags(&self, after: Option<&Tag>, limit: usize) -> Result<Vec<Tag>> {
        let after = after.cloned();
        self.run(move |tree, name| {
            let directory = tree.tags(name);
            let entries = match fs::read_dir(&directory) {
                Ok(entries) => entries,
                Err(error) if tree::is_absent(&error) && tree.exists(name) => return Ok(Vec::new()),
                Err(error) if tree::is_absent(&error) => return Err(missing(name)),
                Err(error) => return Err(at(&directory, error)),
            };
            let mut tags = Vec::new();
            for entry in entries {
                let file_name = entry.map_err(|e| at(&directory, e))?.file_name();
                let tag = file_name.to_str().and_then(|text| text.parse::<Tag>().ok());
                tags.extend(tag.filter(|tag| after.as_ref().is_none_or(|after| tag > after)));
            }
            tags.sort_unstable();
            tags.truncate(limit);
            Ok(tags)
        })
        .await
    }

    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        let query = ReferrersQuery::all(subject.clone());
        let page = self.disk.referrers(&self.name, &query).await?;
        Ok(page.descriptors)
    }
}

#[async_trait]
impl Store for DiskRepository {
    async fn contains(&self, descriptor: &Descriptor) -> Result<bool> {
        let wanted = descriptor.clone();
        self.run(move |tree, name| {
            let digest = &wanted.digest;
            let content = match ManifestLink::find(tree, name, digest)? {
                Some(link) => link.content,
                None if tree.blob_link(name, digest).is_file() => digest.clone(),
                None => return Ok(false),
            };
            let found = fs::metadata(tree.content(&content));
            Ok(found.is_ok_and(|metadata| metadata.len() == wanted.size))
        })
        .await
    }

    async fn put_blob(&self, blob: &Blob) -> Result<Outcome> {
        let bytes = blob.read().await?;
        let digest = blob.descriptor().digest.clone();
        self.disk.take(&self.name, Some(digest), bytes).await?;
        Ok(Outcome::Written)
    }

    async fn ingest(&self, media_type: &MediaType, intake: Arc<dyn Intake>) -> Result<Descriptor> {
        let stream = intake.open(0).await?;
        let taken = self.disk.take(&self.name, None, stream).await?;
        Ok(Descriptor {
            media_type: media_type.clone(),
            ..taken
        })
    }

    async fn put_manifest(&self, manifest: &Manifest, tag: Option<&Tag>) -> Result<()> {
        let tags = tag.map(slice::from_ref).unwrap_or_default();
        self.put_tags(manifest, tags).await
    }

    async fn put_tags(&self, manifest: &Manifest, tags: &[Tag]) -> Result<()> {
        let put = self.disk.put_manifest(&self.name, manifest, tags, None);
        put.await.map(drop)
    }

    async fn delete(&self, selector: &Selector) -> Result<()> {
        let (name, selector) = (self.name.clone(), selector.clone());
        let known = self.run(move |tree, name| Ok(tree.exists(name))).await?;
        if !known {
            return Err(missing(selector));
        }
        self.disk
            .exclusively(&self.name, move |tree| {
                manifests::delete(tree, &name, &selector)
            })
            .await
    }

    async fn flush(&self) -> Result<()> {
        Ok(())
    }
}

/// A blob's bytes, found through the repository's link.
struct Linked {
    file: Arc<fs::File>,
    name: String,
    length: u64,
}

fn linked(tree: &Tree, name: &RepositoryName, digest: &Digest) -> Result<Linked> {
    if !tree.blob_link(name, digest).is_file() {
        return Err(missing(digest));
    }
    let path = tree.content(digest);
    let (file, length) = tree::open(&path)?.ok_or_else(|| missing(digest))?;
    Ok(Linked {
        file: Arc::new(file),
        name: path.display().to_string(),
        length,
    })
}

pub(super) fn missing(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::NotFound, "not in this repository").target(what)
}
