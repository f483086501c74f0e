//! What `docker save` writes: configs, layers, and `manifest.json` that ties them together.
//!
//! It has no manifests, so an image of it is a [`Draft`] until its layers were sent once.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt;
use wharf_oci::{Descriptor, Digest, Manifest, Platform, Reference, Selector, Tag};

use super::docker_document::{self, ManifestEntry};
use super::docker_layers::Made;
use super::docker_select::{ImageChoice, select};
use super::members::Members;
use super::open::ArchiveOptions;
use crate::blob::Blob;
use crate::draft::Draft;
use crate::store::Source;
use crate::store::files::{Files, Region};
use crate::sync::Lock;
use crate::{Error, ErrorKind, Result};

/// An archive as `docker save` writes it.
///
/// As a [`Source`] it has the configs, and the layers of the drafts made so far whose digest is
/// known; it has no manifests and resolves nothing.
#[derive(Debug)]
pub struct DockerArchive {
    pub(super) members: Arc<Members>,
    pub(super) options: ArchiveOptions,
    images: Vec<DockerImage>,
    pub(super) known: Lock<HashMap<Digest, Content>>,
}

/// One image of a docker archive.
#[derive(Clone, Debug)]
pub struct DockerImage {
    /// The config blob; its digest is what docker calls the image id.
    pub config: Descriptor,
    /// The names the image was saved under, as they are in the archive.
    pub repo_tags: Vec<String>,
    /// What the config says the image is for.
    pub platform: Platform,
    pub(super) layers: Vec<String>,
    pub(super) diff_ids: Vec<Digest>,
}

/// Where content of known digest comes from.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// From the archive as it is.
    Stored(Region),
    /// From a layer that is compressed anew each time.
    Made(Made),
}

impl DockerArchive {
    /// Reads the configs of all images. Blocking.
    pub(super) fn read(
        members: Arc<Members>,
        listed: Vec<ManifestEntry>,
        options: ArchiveOptions,
    ) -> Result<DockerArchive> {
        let mut images = Vec::new();
        let mut known = HashMap::new();
        for entry in listed {
            let config = docker_document::config(&members, &entry)?;
            known.insert(
                config.descriptor.digest.clone(),
                Content::Stored(config.region),
            );
            images.push(DockerImage {
                config: config.descriptor,
                repo_tags: entry.repo_tags.unwrap_or_default(),
                platform: config.platform,
                layers: entry.layers.unwrap_or_default(),
                diff_ids: config.diff_ids,
            });
        }
        Ok(DockerArchive {
            members,
            options,
            images,
            known: Lock::new(known),
        })
    }

    /// What the archive is called in messages.
    pub fn name(&self) -> &str {
        self.members.name()
    }

    /// The images, in the order of `manifest.json`.
    pub fn images(&self) -> &[DockerImage] {
        &self.images
    }

    /// The image that `choice` means.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] or [`ErrorKind::Ambiguous`], with a list of what there is.
    pub fn select(&self, choice: &ImageChoice) -> Result<&DockerImage> {
        select(&self.images, choice).map_err(|error| error.target(self.name()))
    }

    /// The image as a draft: layers that are compressed are read once to learn their digest,
    /// others are compressed while they are sent, or recalled from an earlier run.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] where config and `manifest.json` disagree on the number of layers;
    /// [`ErrorKind::NotFound`] for a layer that is not there; [`ErrorKind::Unsupported`] for a
    /// layer in a compression that no registry knows.
    pub async fn draft(&self, image: &DockerImage) -> Result<Draft> {
        self.draft_of(image).await
    }

    fn missing(&self, digest: &Digest) -> Error {
        Error::new(ErrorKind::NotFound, "not in this archive")
            .target(digest)
            .target(self.name())
    }
}

impl DockerImage {
    /// The tags of its names, each once.
    pub fn tags(&self) -> impl Iterator<Item = Tag> {
        let tags = self
            .repo_tags
            .iter()
            .filter_map(|name| name.parse::<Reference>().ok()?.tag().cloned());
        tags.collect::<std::collections::BTreeSet<_>>().into_iter()
    }

    /// Its names, or where it has none the digest of its config: one line.
    pub fn label(&self) -> String {
        if self.repo_tags.is_empty() {
            return self.config.digest.to_string();
        }
        self.repo_tags.join(" ").escape_debug().to_string()
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

    async fn tags(&self, after: Option<&Tag>, limit: usize) -> Result<Vec<Tag>> {
        let all: std::collections::BTreeSet<Tag> =
            self.images.iter().flat_map(DockerImage::tags).collect();
        let later = all
            .into_iter()
            .filter(|tag| after.is_none_or(|after| tag > after));
        Ok(later.take(limit).collect())
    }
}

fn no_manifests() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "a docker archive has no manifests, only images to make them of",
    )
}
