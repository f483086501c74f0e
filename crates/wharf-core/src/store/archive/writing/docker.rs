//! An archive as `docker load` reads it, written.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use wharf_oci::{
    Descriptor, Digest, ImageConfig, ImageManifest, MAX_CONFIG_SIZE, Manifest, MediaType, Payload,
    Selector, Tag,
};

use super::catalogue::{Catalogue, Root, found, missing};
use super::docker_listing::{Listing, config_name, joined, layer_name};
use super::legacy::{self, LegacyLayers, REPOSITORIES_FILE};
use super::output::Output;
use super::tarball::Tarball;
use crate::blob::Blob;
use crate::intake::Intake;
use crate::store::archive::docker_document::MANIFEST_FILE;
use crate::store::{Names, Outcome, Source, Store};
use crate::sync::Lock;
use crate::{Error, ErrorKind, Result};

/// A docker archive that is being written; cheap to clone. What it has is lost unless
/// [`DockerArchiveWriter::finish`] is called.
///
/// ```no_run
/// # use wharf_core as wharf;
/// use wharf::store::archive::{DockerArchiveWriter, Output};
///
/// # async fn example(layout: wharf::Layout, root: wharf::copy::Root) -> wharf::Result<()> {
/// let output = Output::Path("app.tar".into());
/// let archive = DockerArchiveWriter::create(output, "/tmp".as_ref()).await?;
/// let store = archive.repository("registry.example/app");
/// wharf::copy::copy(&layout, &store, &[root], &Default::default()).await?;
/// archive.finish().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct DockerArchiveWriter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    tarball: Tarball,
    form: Form,
    /// The members that have content.
    names: Lock<HashMap<Digest, String>>,
    /// What is needed of configs at the end.
    configs: Lock<HashMap<Digest, Bytes>>,
    repositories: Lock<Vec<Saved>>,
}

/// How layers are written.
#[derive(Debug)]
enum Form {
    /// As they are.
    Current,
    /// Unpacked, for Docker before 1.10 and what reads its format.
    Legacy(LegacyLayers),
}

/// The images of a repository, and how they are named.
#[derive(Clone, Debug)]
struct Saved {
    named: Named,
    catalogue: Arc<Catalogue>,
}

/// A repository in a docker archive that is being written, as a store for images. A tag gives
/// an image the name `REPOSITORY:TAG`.
///
/// Manifests are not part of such an archive: they are known until it is finished.
#[derive(Clone, Debug)]
pub struct SavedRepository {
    archive: Arc<Inner>,
    catalogue: Arc<Catalogue>,
}

/// The names of images in `manifest.json`.
#[derive(Clone, Debug)]
enum Named {
    /// This name, and the tag.
    By(Arc<str>),
    /// These, whatever the tags.
    As(Arc<[String]>),
}

impl DockerArchiveWriter {
    /// Begins an archive. `spool_dir` is for layers that are made or unpacked on their way into a
    /// stream, because their size stands before them; a file has them in its own folder.
    ///
    /// # Errors
    /// What the system says about the file or its folder.
    pub async fn create(output: Output, spool_dir: &Path) -> Result<Self> {
        DockerArchiveWriter::of(output, spool_dir, Form::Current).await
    }

    /// Begins an archive in the format of Docker before 1.10, which newer versions read too: each layer
    /// unpacked in a folder of its own, with the facts about it. The layers are kept in temporary
    /// files until the end.
    ///
    /// # Errors
    /// As [`DockerArchiveWriter::create`].
    pub async fn create_legacy(output: Output, spool_dir: &Path) -> Result<Self> {
        let form = Form::Legacy(LegacyLayers::default());
        DockerArchiveWriter::of(output, spool_dir, form).await
    }

    async fn of(output: Output, spool_dir: &Path, form: Form) -> Result<Self> {
        Ok(DockerArchiveWriter(Arc::new(Inner {
            tarball: Tarball::create(output, spool_dir).await?,
            form,
            names: Lock::default(),
            configs: Lock::default(),
            repositories: Lock::default(),
        })))
    }

    /// A store for images of this repository, as text that is not changed: with the tag `1` they are
    /// called `REPOSITORY:1`.
    pub fn repository(&self, repository: &str) -> SavedRepository {
        self.saved(Named::By(repository.into()))
    }

    /// A store for one image with these full names, such as `app:1`; its tags do not matter.
    pub fn named(&self, names: impl IntoIterator<Item = String>) -> SavedRepository {
        self.saved(Named::As(names.into_iter().collect()))
    }

    fn saved(&self, named: Named) -> SavedRepository {
        let catalogue = Arc::<Catalogue>::default();
        let saved = Saved {
            named,
            catalogue: Arc::clone(&catalogue),
        };
        self.0.repositories.lock().push(saved);
        SavedRepository {
            archive: Arc::clone(&self.0),
            catalogue,
        }
    }

    /// Lists all images and ends the archive; a file gets its name, durably.
    ///
    /// # Errors
    /// What the system says. A file that was there before is there still.
    pub async fn finish(&self) -> Result<()> {
        let repositories = self.0.repositories.lock().clone();
        let (mut listings, mut tops) = (Vec::new(), Vec::new());
        let mut written = HashSet::new();
        for saved in repositories {
            for root in saved.catalogue.roots() {
                let image = image(&root.manifest)?;
                let names = saved.named.of(&root);
                let layers = match &self.0.form {
                    Form::Current => self.0.layers(image)?,
                    Form::Legacy(layers) => {
                        let whole = (image, &self.0.config(image)?);
                        let folders = layers.write(&self.0.tarball, whole, &mut written).await?;
                        let top = |name: &String| Some((name.clone(), folders.top.clone()?));
                        tops.extend(names.iter().filter_map(top));
                        folders.layers
                    }
                };
                listings.push(self.0.listing(image, layers, names)?);
            }
        }
        let tarball = &self.0.tarball;
        let written = serde_json::to_vec(&joined(listings));
        let written = written.expect("maps of texts and numbers are JSON");
        tarball.document(MANIFEST_FILE, written.into()).await?;
        if let Form::Legacy(_) = &self.0.form {
            let repositories = legacy::repositories(&tops);
            tarball.document(REPOSITORIES_FILE, repositories).await?;
        }
        tarball.finish().await
    }
}

impl Named {
    fn of(&self, root: &Root) -> Vec<String> {
        match self {
            Named::By(repository) => {
                let tags = root.tags.iter();
                tags.map(|tag| format!("{repository}:{tag}")).collect()
            }
            Named::As(names) => names.to_vec(),
        }
    }
}

impl Inner {
    fn listing(
        &self,
        image: &ImageManifest,
        layers: Vec<String>,
        names: Vec<String>,
    ) -> Result<Listing> {
        Ok(Listing {
            config: self.member(&image.config.digest)?,
            repo_tags: Some(names).filter(|names| !names.is_empty()),
            layers,
            layer_sources: self.foreign(image)?,
        })
    }

    /// The members that have the layers of an image.
    fn layers(&self, image: &ImageManifest) -> Result<Vec<String>> {
        let layers = image.layers.iter();
        layers.map(|layer| self.member(&layer.digest)).collect()
    }

    /// The bytes of an image's config.
    fn config(&self, image: &ImageManifest) -> Result<Bytes> {
        let digest = &image.config.digest;
        let config = self.configs.lock().get(digest).cloned();
        found(config, digest, &self.tarball.name())
    }

    fn contains(&self, descriptor: &Descriptor) -> bool {
        let unpacked = match &self.form {
            Form::Current => false,
            Form::Legacy(layers) => layers.contains(descriptor),
        };
        unpacked || self.tarball.contains(descriptor)
    }

    fn member(&self, digest: &Digest) -> Result<String> {
        let name = self.names.lock().get(digest).cloned();
        found(name, digest, &self.tarball.name())
    }

    /// The foreign layers of an image by diff id.
    fn foreign(&self, image: &ImageManifest) -> Result<BTreeMap<Digest, Descriptor>> {
        let is_foreign = |layer: &&Descriptor| !layer.media_type.is_distributable();
        if image.layers.iter().find(is_foreign).is_none() {
            return Ok(BTreeMap::new());
        }
        let config = ImageConfig::parse(&self.config(image)?)
            .map_err(|error| Error::from(error).target(&image.config.digest))?;
        let layers = config.rootfs.diff_ids.into_iter().zip(&image.layers);
        let foreign = layers.filter(|(_, layer)| is_foreign(layer));
        Ok(foreign.map(|(id, layer)| (id, layer.clone())).collect())
    }
}

/// The image in a manifest: nothing else has a place in a docker archive.
fn image(manifest: &Manifest) -> Result<&ImageManifest> {
    let what = match manifest.payload() {
        Payload::Image(image) if image.config.media_type.is_config() => return Ok(image),
        Payload::Image(image) => format!("an artifact with {}", image.config.media_type),
        _ => manifest.media_type().to_string(),
    };
    let message = format!("a docker archive holds images only, and this is {what}");
    Err(Error::new(ErrorKind::Unsupported, message).target(manifest.digest()))
}

#[async_trait]
impl Source for SavedRepository {
    async fn resolve(&self, at: &Selector) -> Result<Descriptor> {
        found(self.catalogue.resolve(at), at, &self.archive.tarball.name())
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        let (digest, name) = (&descriptor.digest, self.archive.tarball.name());
        found(self.catalogue.manifest(digest), digest, &name)
    }

    fn place(&self) -> Option<String> {
        Some(self.archive.tarball.name())
    }

    fn blob(&self, descriptor: &Descriptor) -> Blob {
        self.archive.tarball.blob(descriptor)
    }

    async fn blob_size(&self, digest: &Digest) -> Result<u64> {
        let tarball = &self.archive.tarball;
        found(tarball.size(digest), digest, &tarball.name())
    }

    async fn tags(&self, after: Option<&Tag>, limit: usize) -> Result<Vec<Tag>> {
        Ok(self.catalogue.tags(after, limit))
    }
}

#[async_trait]
impl Store for SavedRepository {
    /// Images share blobs, and no manifests.
    async fn contains(&self, descriptor: &Descriptor) -> Result<bool> {
        let known = self.catalogue.manifest(&descriptor.digest).is_some();
        Ok(known || self.archive.contains(descriptor))
    }

    fn needs_all_layers(&self) -> bool {
        true
    }

    async fn put_blob(&self, blob: &Blob) -> Result<Outcome> {
        let descriptor = blob.descriptor();
        if let Form::Legacy(layers) = &self.archive.form
            && !descriptor.media_type.is_config()
        {
            layers.keep(blob, self.archive.tarball.spool_dir()).await?;
            return Ok(Outcome::Written);
        }
        let (name, blob) = match descriptor.media_type.is_config() {
            true => {
                let config = blob.read_all(MAX_CONFIG_SIZE).await?;
                let digest = descriptor.digest.clone();
                self.archive.configs.lock().insert(digest, config.clone());
                let kept = Blob::from_bytes(descriptor.clone(), config);
                let name = match &self.archive.form {
                    Form::Current => config_name(&descriptor.digest),
                    Form::Legacy(_) => format!("{}.json", descriptor.digest.hex()),
                };
                (name, kept)
            }
            false => (layer_name(descriptor), blob.clone()),
        };
        let outcome = self.archive.tarball.put(&name, &blob).await?;
        let mut names = self.archive.names.lock();
        names.entry(descriptor.digest.clone()).or_insert(name);
        Ok(outcome)
    }

    async fn ingest(&self, media_type: &MediaType, intake: Arc<dyn Intake>) -> Result<Descriptor> {
        let blob = self.archive.tarball.keep(media_type, intake).await?;
        self.put_blob(&blob).await?;
        Ok(blob.descriptor().clone())
    }

    async fn put_manifest(&self, manifest: &Manifest, names: Names<'_>) -> Result<()> {
        let image = image(manifest)?;
        for part in image.layers.iter().chain([&image.config]) {
            if !self.archive.contains(part) {
                return Err(missing(&part.digest, &self.archive.tarball.name()));
            }
        }
        if let Form::Legacy(_) = &self.archive.form {
            legacy::check(image, &self.archive.config(image)?)?;
        }
        self.catalogue.enter(manifest, names);
        Ok(())
    }
}
