//! Describes what a place names, for people and for programs.

use std::collections::BTreeMap;

use serde::Serialize;
use wharf_oci::{
    Descriptor, Digest, ImageConfig, ImageManifest, MAX_CONFIG_SIZE, Manifest, ManifestKind,
    MediaType, Payload, RunConfig,
};

use super::Wharf;
use crate::place::OpenedSource;
use crate::store::Source;
use crate::{Error, Result, RootContent, Side};

/// What an image, an index or an artifact is. Serialised it is the JSON of `wharf inspect`. Fields
/// stay as they are; later versions may add some.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Inspection {
    /// What it is, in one word.
    pub kind: ManifestKind,
    /// The media type of its manifest.
    pub media_type: MediaType,
    /// The digest of its manifest.
    pub digest: Digest,
    /// Bytes of its manifest.
    pub size: u64,
    /// The type of an artifact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<MediaType>,
    /// What the config of an image says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageFacts>,
    /// The layers of an image, the lowest first, or the blobs of an artifact.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerFacts>,
    /// The manifests of an index, in its order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub manifests: Vec<ManifestFacts>,
    /// The annotations of its manifest.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The manifest that it says something about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<ManifestFacts>,
    /// The manifests that say something about it; `None` if they could not be listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referrers: Option<Vec<ManifestFacts>>,
    /// Why they could not be listed.
    #[serde(skip)]
    pub unlisted: Option<Error>,
}

/// What the config of an image says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ImageFacts {
    /// What it runs on, `linux/amd64`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// When it was made, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Its author.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The digest of the config.
    pub config: Digest,
    /// How it is run.
    #[serde(flatten)]
    pub run: RunConfig,
}

/// A layer of an image, or a blob of an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LayerFacts {
    /// Its media type.
    pub media_type: MediaType,
    /// The digest of the stored bytes.
    pub digest: Digest,
    /// The stored bytes.
    pub size: u64,
    /// The digest of the uncompressed tar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff_id: Option<Digest>,
    /// The command that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Its annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A manifest as a descriptor states it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ManifestFacts {
    /// What it is, as far as the descriptor says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<ManifestKind>,
    /// Its media type.
    pub media_type: MediaType,
    /// Its digest.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
    /// What an image runs on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The type of an artifact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<MediaType>,
    /// The digest of the image that an attestation is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// The annotations of the descriptor.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Wharf {
    /// Describes what an opened source has: manifest, config and referrers. Reads no layer.
    ///
    /// ```no_run
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let opened = wharf.read(&"registry.example/app:1".parse()?).await?;
    /// let about = wharf.inspect(&opened).await?;
    /// println!("{} with {} layers", about.kind, about.layers.len());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Wharf::manifest_in`]; [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for an image's
    /// config that is none. Referrers that cannot be listed are no error: [`Inspection::unlisted`].
    pub async fn inspect(&self, opened: &OpenedSource) -> Result<Inspection> {
        let manifest = self.manifest_in(opened).await?;
        let source = opened.source.as_ref();
        let config = self.config_of(source, &manifest).await?;
        let mut about = Inspection::of(&manifest, config.as_ref());
        let referrers = match &opened.content {
            RootContent::Manifest(_) => self.referring(source, manifest.digest()).await,
            // What is not a manifest yet has none.
            _ => Ok(Vec::new()),
        };
        match referrers {
            Ok(listed) => about.referrers = Some(listed.iter().map(ManifestFacts::of).collect()),
            Err(error) => about.unlisted = Some(error),
        }
        Ok(about)
    }

    /// The config of a manifest, if that is an image.
    async fn config_of(
        &self,
        source: &dyn Source,
        manifest: &Manifest,
    ) -> Result<Option<ImageConfig>> {
        let Payload::Image(image) = manifest.payload() else {
            return Ok(None);
        };
        if !image.config.media_type.is_config() {
            return Ok(None);
        }
        let raw = source.raw_source().unwrap_or(source);
        let blob = raw.blob(&image.config);
        let read = self.retry(|| blob.read_all(MAX_CONFIG_SIZE)).await;
        let parsed = read.and_then(|bytes| {
            let parsed = ImageConfig::parse(&bytes);
            parsed.map_err(|error| Error::from(error).target(&image.config.digest))
        });
        parsed.map(Some).map_err(|error| error.side(Side::Source))
    }

    /// The manifests that refer to `subject` in a source.
    pub(super) async fn referring(
        &self,
        source: &dyn Source,
        subject: &Digest,
    ) -> Result<Vec<Descriptor>> {
        let raw = source.raw_source().unwrap_or(source);
        let listed = self.retry(|| raw.referrers(subject)).await;
        listed.map_err(|error| error.side(Side::Source))
    }
}

impl Inspection {
    /// What a manifest says, and the config of an image, without referrers.
    pub fn of(manifest: &Manifest, config: Option<&ImageConfig>) -> Self {
        let (mut image, mut layers, mut manifests) = (None, Vec::new(), Vec::new());
        match manifest.payload() {
            Payload::Image(document) => {
                image = config.map(|config| ImageFacts::of(document, config));
                layers = layers_of(document, config);
            }
            Payload::Index(index) => {
                manifests = index.manifests.iter().map(ManifestFacts::of).collect();
            }
            Payload::Artifact(artifact) => {
                layers = artifact.blobs.iter().map(LayerFacts::of).collect();
            }
            Payload::Schema1(_) => {}
        }
        let kind = ManifestKind::of(manifest);
        let typed = !matches!(kind, ManifestKind::Image | ManifestKind::Index);
        Inspection {
            kind,
            media_type: manifest.media_type().clone(),
            digest: manifest.digest().clone(),
            size: manifest.size(),
            artifact_type: manifest.artifact_type().filter(|_| typed).cloned(),
            image,
            layers,
            manifests,
            annotations: manifest.annotations().clone(),
            subject: manifest.subject().map(ManifestFacts::of),
            referrers: None,
            unlisted: None,
        }
    }

    /// The sum of the sizes of its layers, in bytes.
    pub fn layers_size(&self) -> u64 {
        let sizes = self.layers.iter().map(|layer| layer.size);
        sizes.fold(0, u64::saturating_add)
    }
}

impl ImageFacts {
    fn of(manifest: &ImageManifest, config: &ImageConfig) -> Self {
        let platform = config.platform();
        let known = !platform.os.is_empty() || !platform.architecture.is_empty();
        ImageFacts {
            platform: known.then(|| platform.to_string()),
            created: config.created.clone(),
            author: config.author.clone(),
            config: manifest.config.digest.clone(),
            run: config.run_config(),
        }
    }
}

fn layers_of(manifest: &ImageManifest, config: Option<&ImageConfig>) -> Vec<LayerFacts> {
    let mut layers: Vec<LayerFacts> = manifest.layers.iter().map(LayerFacts::of).collect();
    let Some(config) = config else { return layers };
    if config.rootfs.diff_ids.len() == layers.len() {
        for (layer, diff_id) in layers.iter_mut().zip(&config.rootfs.diff_ids) {
            layer.diff_id = Some(diff_id.clone());
        }
    }
    let steps = config.history.iter().filter(|step| !step.empty_layer);
    if steps.clone().count() == layers.len() {
        for (layer, step) in layers.iter_mut().zip(steps) {
            layer.created_by.clone_from(&step.created_by);
        }
    }
    layers
}

impl LayerFacts {
    fn of(descriptor: &Descriptor) -> Self {
        LayerFacts {
            media_type: descriptor.media_type.clone(),
            digest: descriptor.digest.clone(),
            size: descriptor.size,
            diff_id: None,
            created_by: None,
            annotations: descriptor.annotations.clone(),
        }
    }
}

impl ManifestFacts {
    /// What a descriptor says.
    pub fn of(descriptor: &Descriptor) -> Self {
        let kind = ManifestKind::of_child(descriptor);
        let platform = descriptor.platform.as_ref();
        // An attestation runs nowhere.
        let platform = platform.filter(|_| kind != Some(ManifestKind::Attestation));
        ManifestFacts {
            kind,
            media_type: descriptor.media_type.clone(),
            digest: descriptor.digest.clone(),
            size: descriptor.size,
            platform: platform.map(ToString::to_string),
            artifact_type: descriptor.artifact_type.clone(),
            about: wharf_oci::attested(descriptor).map(str::to_owned),
            annotations: descriptor.annotations.clone(),
        }
    }
}
