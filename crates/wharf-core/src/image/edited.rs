//! An image to be changed, or a new image upon a base image.

use std::sync::Arc;

use bytes::Bytes;
use wharf_oci::{
    Descriptor, Digest, History, ImageConfig, MAX_CONFIG_SIZE, MediaType, Payload, compact_json,
};

use super::edited_layer::EditedLayer;
use super::{StoredImage, family};
use crate::copy::{RetryPolicy, RootContent};
use crate::draft::{Draft, DraftConfig, LaterConfig, ManifestFields};
use crate::layer::{Family, LayerInput, NewImage, Packing, PendingLayer};
use crate::store::{Memory, Source};
use crate::{Error, ErrorKind, Result, Side};

/// An image to be changed: what it is to be, laid over what its source has.
///
/// What is not changed stays, fields that this version does not know included. Its layers are not
/// read: a copy finds them where they are, mounts them, or moves them as they are.
#[derive(Clone, Debug)]
pub struct EditedImage {
    /// The config, to be changed. Its diff ids are filled in.
    pub config: ImageConfig,
    /// What the manifest says beside config and layers, to be changed.
    pub fields: ManifestFields,
    source: Arc<dyn Source>,
    family: Family,
    layers: Vec<EditedLayer>,
    before: Option<Before>,
    /// Whether it has the layers of before.
    relayered: bool,
    /// New layers that the history does not tell of yet.
    untold: usize,
}

/// The image before it was changed.
#[derive(Clone, Debug)]
struct Before {
    content: RootContent,
    media_type: MediaType,
    stored: Descriptor,
    /// `None` for an artifact: its config stays as it is.
    config: Option<ImageConfig>,
    fields: ManifestFields,
}

/// The time of a step that states none, as other tools write it.
pub(super) const NO_TIME: &str = "0001-01-01T00:00:00Z";

impl NewImage {
    /// An image upon `base`: it begins with the layers and the config of the base, in the same
    /// family of media types. A push mounts the base's layers if they are in another repository of
    /// the same registry, and else copies them.
    ///
    /// ```no_run
    /// # mod wharf {
    /// #     pub use wharf_core::*;
    /// #     pub use wharf_oci as oci;
    /// # }
    /// use wharf::copy::{CopyOptions, Root, copy};
    /// use wharf::image::StoredImage;
    /// use wharf::layer::{LayerInput, NewImage, Packing, TreeOptions};
    ///
    /// # async fn push(base: StoredImage, store: &dyn wharf::store::Store) -> wharf::Result<()> {
    /// let app = LayerInput::directory("app", TreeOptions::default());
    /// let image = NewImage::on(&base).await?.layer(app, &Packing::default())?;
    /// let root = Root {
    ///     content: image.into(),
    ///     tags: vec!["latest".parse().expect("a tag")],
    /// };
    /// copy(base.source().as_ref(), store, &[root], &CopyOptions::default()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`StoredImage::layers`]; [`ErrorKind::Unsupported`] for an artifact, which has no layers
    /// of files.
    pub async fn on(base: &StoredImage) -> Result<EditedImage> {
        if !base.is_runnable() {
            let error = Error::new(ErrorKind::Unsupported, "an artifact cannot be a base image");
            return Err(error.target(base.manifest().digest()));
        }
        EditedImage::open(base).await
    }
}

impl EditedImage {
    /// An image of a source, to be changed. Reads its config, unless it is an artifact: of that
    /// only the fields of the manifest can be changed.
    ///
    /// # Errors
    /// As [`StoredImage::layers`].
    pub async fn open(image: &StoredImage) -> Result<Self> {
        let config = match image.is_runnable() {
            true => Some(image.config().await?),
            false => None,
        };
        let layers = image.layers_of(config.as_ref())?;
        let layers = layers.iter().map(|layer| {
            let stored = layer.descriptor().clone();
            EditedLayer::new(stored.into(), layer.diff_id().cloned())
        });
        let manifest = image.manifest();
        let fields = match manifest.payload() {
            Payload::Image(image) => ManifestFields::from(image),
            _ => ManifestFields::default(),
        };
        let before = Before {
            content: manifest.descriptor().clone().into(),
            media_type: manifest.media_type().clone(),
            stored: image.config_descriptor().clone(),
            config,
            fields,
        };
        let source = Arc::clone(image.source());
        Ok(EditedImage::of(source, before, layers.collect()))
    }

    /// An image with layers that are made while they are sent, as a docker archive has them, to be
    /// changed. `source` has its config.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if its config is made too; the errors of reading the config.
    pub async fn of_draft(
        source: Arc<dyn Source>,
        draft: &Draft,
        retry: RetryPolicy,
    ) -> Result<Self> {
        let Some(stored) = draft.config.stored() else {
            let message = "an image cannot be changed before it is made";
            return Err(Error::new(ErrorKind::Unsupported, message).side(Side::Source));
        };
        let bytes = retry.reading(&source.blob(stored));
        let bytes = bytes.read_all(MAX_CONFIG_SIZE).await?;
        let config = ImageConfig::parse(&bytes);
        let config = config.map_err(|error| Error::from(error).side(Side::Source))?;
        let diff_ids = config.rootfs.diff_ids.iter().cloned().map(Some);
        let diff_ids = diff_ids.chain(std::iter::repeat(None));
        let layers = draft.layers.iter().cloned().zip(diff_ids);
        let layers = layers.map(|(layer, diff_id)| EditedLayer::new(layer, diff_id));
        let layers = layers.collect();
        let before = Before {
            content: draft.clone().into(),
            media_type: draft.media_type.clone(),
            stored: stored.clone(),
            config: Some(config),
            fields: draft.fields.clone(),
        };
        Ok(EditedImage::of(source, before, layers))
    }

    /// An image without layers, for any platform.
    pub fn empty(family: Family) -> Self {
        EditedImage {
            config: ImageConfig {
                created: Some(NO_TIME.to_owned()),
                config: Some(serde_json::json!({})),
                ..ImageConfig::default()
            },
            fields: ManifestFields::default(),
            source: Arc::new(Memory::new()),
            family,
            layers: Vec::new(),
            before: None,
            relayered: true,
            untold: 0,
        }
    }

    fn of(source: Arc<dyn Source>, before: Before, layers: Vec<EditedLayer>) -> Self {
        EditedImage {
            config: before.config.clone().unwrap_or_default(),
            fields: before.fields.clone(),
            source,
            family: family::of(&before.media_type),
            layers,
            before: Some(before),
            relayered: false,
            untold: 0,
        }
    }

    /// Adds a layer on top: a tar, compressed on the way.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if the family has no such layers.
    pub fn layer(self, input: LayerInput, packing: &Packing) -> Result<Self> {
        let layer = input.tar(packing, self.family)?;
        Ok(self.pending(layer))
    }

    /// Adds a layer on top, which must be of the family. The history gets an entry for it, if it has
    /// one for each layer below and the caller adds none.
    #[must_use]
    pub fn pending(mut self, layer: PendingLayer) -> Self {
        self.untold += 1;
        self.relayered = true;
        self.layers.push(EditedLayer::pending(layer));
        self
    }

    /// Adds a layer on top with an entry in the history that states nothing, as other tools do.
    #[must_use]
    pub fn append(mut self, layer: PendingLayer) -> Self {
        self.relayered = true;
        self.layers.push(EditedLayer::pending(layer));
        self.config.history.push(History {
            created: Some(NO_TIME.to_owned()),
            ..History::default()
        });
        self
    }

    /// The same image with these layers. The history stays as it is.
    #[must_use]
    pub fn with_layers(mut self, layers: Vec<EditedLayer>) -> Self {
        self.relayered = true;
        self.untold = 0;
        self.layers = layers;
        self
    }

    /// The same image, read from another source, which must have its kept content.
    #[must_use]
    pub fn from_source(mut self, source: Arc<dyn Source>) -> Self {
        self.source = source;
        self
    }

    /// The layers, from the base up.
    pub fn layers(&self) -> &[EditedLayer] {
        &self.layers
    }

    /// The family of media types. It is that of the base.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Whether it has the config of an image; an artifact has another, which cannot be changed.
    pub fn is_runnable(&self) -> bool {
        let mut before = self.before.iter();
        before.all(|before| before.config.is_some())
    }

    /// The manifest of before, if it has one.
    pub fn base(&self) -> Option<&Descriptor> {
        match &self.before.as_ref()?.content {
            RootContent::Manifest(descriptor) => Some(descriptor),
            RootContent::Draft(_) | RootContent::Index(_) => None,
        }
    }

    /// The source of a copy of this image: it has the kept layers.
    pub fn source(&self) -> &Arc<dyn Source> {
        &self.source
    }

    /// Whether nothing was changed.
    pub fn is_unchanged(&self) -> bool {
        let same = |before: &Before| before.fields == self.fields;
        self.keeps_config() && self.before.as_ref().is_some_and(same)
    }

    /// Whether the config's bytes stay.
    fn keeps_config(&self) -> bool {
        self.before
            .as_ref()
            .is_some_and(|before| match &before.config {
                Some(config) => !self.relayered && *config == self.config,
                None => true,
            })
    }

    /// The image as a root of a copy from [`EditedImage::source`]: what it was, if nothing was
    /// changed.
    pub fn into_content(self) -> RootContent {
        match self.before {
            Some(ref before) if self.is_unchanged() => before.content.clone(),
            _ => RootContent::Draft(self.into_draft()),
        }
    }

    /// The image as a draft. Its source is [`EditedImage::source`].
    pub fn into_draft(mut self) -> Draft {
        self.complete();
        let (family, keeps_config) = (self.family, self.keeps_config());
        let runnable = self.is_runnable();
        let before = self.before.as_ref();
        let media_type = before.map(|before| before.media_type.clone());
        let media_type = media_type.filter(|before| !before.is_image_manifest());
        let config = match before {
            Some(before) if keeps_config => DraftConfig::Stored(Descriptor {
                media_type: match runnable {
                    true => family.config(),
                    false => before.stored.media_type.clone(),
                },
                ..before.stored.clone()
            }),
            _ => DraftConfig::Later(later(self.config, &self.layers, family)),
        };
        let layers = self.layers.into_iter();
        Draft {
            media_type: media_type.unwrap_or_else(|| family.manifest()),
            config,
            layers: layers.map(|layer| layer.into_draft(family)).collect(),
            fields: self.fields,
        }
    }

    /// Adds entries to the history for new layers, unless the layers below have none, or the caller
    /// has added them.
    fn complete(&mut self) {
        let (config, base) = (&mut self.config, self.layers.len() - self.untold);
        let told = config.history.iter().filter(|step| !step.empty_layer);
        if self.untold > 0 && base > 0 && told.count() == base {
            let step = History {
                created: config.created.clone(),
                ..History::default()
            };
            let steps = std::iter::repeat_n(step, self.untold);
            config.history.extend(steps);
        }
        self.untold = 0;
    }
}

/// The config, once the diff ids of new layers are known.
fn later(config: ImageConfig, layers: &[EditedLayer], family: Family) -> LaterConfig {
    let known: Vec<Option<Digest>> = layers
        .iter()
        .map(|layer| match layer.is_pending() {
            true => None,
            false => layer.diff_id().cloned(),
        })
        .collect();
    let make = move |made: &[Digest]| {
        let mut made = made.iter();
        let diff_ids = known.iter().map(|known| match known {
            Some(known) => Some(known.clone()),
            None => made.next().cloned(),
        });
        let mut config = config.clone();
        config.rootfs.diff_ids = diff_ids.flatten().collect();
        let bytes = compact_json(&config)
            .map_err(|error| Error::new(ErrorKind::Invalid, "image config").source(error))?;
        Ok(Bytes::from(bytes))
    };
    LaterConfig::new(family.config(), make)
}
