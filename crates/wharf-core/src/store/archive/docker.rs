//! The archives of `docker save`: configs, layers, and `manifest.json` that lists them.
//!
//! It has no manifests, so an image of it is a [`Draft`](crate::draft::Draft) until its layers were sent once.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt;
use wharf_oci::{Descriptor, Digest, Manifest, Selector, Tag};

use super::docker_content::Content;
use super::docker_document::{self, ManifestEntry};
use super::docker_image::DockerImage;
use super::docker_select::{ImageChoice, select};
use super::inflate::Promises;
use super::members::Members;
use super::options::ArchiveOptions;
use crate::blob::Blob;
use crate::store::Source;
use crate::store::files::Files;
use crate::sync::Lock;
use crate::{Error, ErrorKind, Result};

/// An archive as `docker save` writes it.
///
/// As a [`Source`] it has the configs, and the layers of known digest of the drafts made so far. It
/// has no manifests and resolves nothing.
#[derive(Debug)]
pub struct DockerArchive {
    pub(super) members: Arc<Members>,
    pub(super) options: ArchiveOptions,
    images: Vec<DockerImage>,
    pub(super) known: Lock<HashMap<Digest, Content>>,
    /// The diff ids of the compressed layers of the drafts made so far.
    pub(super) promises: Promises,
}

impl DockerArchive {
    /// Reads the configs of all images. Blocking.
    pub(super) fn read(
        members: Arc<Members>,
        listed: Vec<ManifestEntry>,
        options: ArchiveOptions,
    ) -> Result<DockerArchive> {
        let mut images: Vec<DockerImage> = Vec::new();
        let mut known = HashMap::new();
        for (place, entry) in listed.into_iter().enumerate() {
            let config = docker_document::config(&members, &entry)?;
            known.insert(
                config.descriptor.digest.clone(),
                Content::Stored(config.region),
            );
            let image = DockerImage {
                config: config.descriptor,
                repo_tags: entry.repo_tags.unwrap_or_default(),
                platform: config.platform,
                places: vec![place],
                layers: entry.layers.unwrap_or_default(),
                diff_ids: config.diff_ids,
            };
            // Some programs list an image once for each of its names.
            match images
                .iter_mut()
                .find(|known| is_same(&members, known, &image))
            {
                Some(known) => known.join(image),
                None => images.push(image),
            }
        }
        Ok(DockerArchive {
            members,
            options,
            images,
            known: Lock::new(known),
            promises: Promises::new(),
        })
    }

    /// The name of the archive in messages.
    pub fn name(&self) -> &str {
        self.members.name()
    }

    /// The images, in the order of `manifest.json`; an image that it lists several times is one.
    pub fn images(&self) -> &[DockerImage] {
        &self.images
    }

    /// The image that `choice` selects.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] or [`ErrorKind::Ambiguous`], with a list of the images.
    pub fn select(&self, choice: &ImageChoice) -> Result<&DockerImage> {
        select(&self.images, choice).map_err(|error| error.target(self.name()))
    }

    fn missing(&self, digest: &Digest) -> Error {
        Error::new(ErrorKind::NotFound, "not in this archive")
            .target(digest)
            .target(self.name())
    }
}

#[async_trait]
impl Source for DockerArchive {
    async fn resolve(&self, at: &Selector) -> Result<Descriptor> {
        Err(no_manifests().target(at).target(self.name()))
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        Err(no_manifests()
            .target(&descriptor.digest)
            .target(self.name()))
    }

    fn place(&self) -> Option<String> {
        Some(self.name().to_owned())
    }

    fn blob(&self, descriptor: &Descriptor) -> Blob {
        let found = self.known.lock().get(&descriptor.digest).cloned();
        let missing = (self.name().to_owned(), descriptor.digest.clone());
        let wanted = descriptor.clone();
        let blob = Blob::new(descriptor.clone(), move |offset| {
            let opened = match &found {
                Some(Content::Stored(region)) => Ok(region.open(offset)),
                Some(Content::Made(made)) => Ok(made.open(&wanted, offset)),
                None => {
                    let error = Error::new(ErrorKind::NotFound, "not in this archive");
                    Err(error.target(&missing.1).target(&missing.0))
                }
            };
            async move { opened }.boxed()
        });
        blob.with_name(self.name())
    }

    async fn blob_size(&self, digest: &Digest) -> Result<u64> {
        match self.known.lock().get(digest) {
            Some(Content::Stored(region)) => Ok(region.length),
            Some(Content::Made(made)) => Ok(made.size),
            None => Err(self.missing(digest)),
        }
    }

    async fn precheck(&self, descriptor: &Descriptor) -> Result<()> {
        let size = self.blob_size(&descriptor.digest).await?;
        if size == descriptor.size {
            return Ok(());
        }
        let said = format!("content has {size} bytes, expected {}", descriptor.size);
        Err(Error::new(ErrorKind::Corrupt, said)
            .target(&descriptor.digest)
            .target(self.name()))
    }

    async fn confirm(&self, descriptor: &Descriptor) -> Result<()> {
        self.promises.keep(&descriptor.digest).await
    }

    async fn tags(&self, after: Option<&Tag>, limit: usize) -> Result<Vec<Tag>> {
        let all: std::collections::BTreeSet<Tag> =
            self.images.iter().flat_map(DockerImage::tags).collect();
        let later = all
            .into_iter()
            .filter(|tag| after.is_none_or(|after| tag > after));
        Ok(later.take(limit).collect())
    }
}

/// Whether two entries are one image: the same config, and the same layers wherever they lie.
fn is_same(members: &Members, one: &DockerImage, other: &DockerImage) -> bool {
    let at = |path: &String| match members.find(path) {
        Ok(Some(region)) => Ok((region.start, region.length)),
        _ => Err(path.clone()),
    };
    one.config.digest == other.config.digest
        && one.layers.len() == other.layers.len()
        && one
            .layers
            .iter()
            .zip(&other.layers)
            .all(|(one, other)| at(one) == at(other))
}

fn no_manifests() -> Error {
    Error::new(ErrorKind::Unsupported, "a docker archive has no manifests")
}
