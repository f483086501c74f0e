//! A new image upon a base image.

use bytes::Bytes;
use wharf_oci::{Descriptor, Digest, History, ImageConfig};

use super::StoredImage;
use crate::draft::{Draft, DraftConfig, DraftLayer, LaterConfig};
use crate::layer::{Family, LayerInput, NewImage, Packing, PendingLayer};
use crate::store::Source;
use crate::{Error, ErrorKind, Result};

/// A new image upon a base image, made by [`NewImage::on`]. Its source is that of the base.
#[derive(Clone, Debug)]
pub struct ImageOnBase {
    /// The config: that of the base, to be changed. Its diff ids are filled in, and its history
    /// gets an entry for each layer that has none.
    pub config: ImageConfig,
    base: StoredImage,
    layers: Vec<Descriptor>,
    diff_ids: Vec<Digest>,
    family: Family,
    added: Vec<PendingLayer>,
}

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
    pub async fn on(base: &StoredImage) -> Result<ImageOnBase> {
        if !base.is_runnable() {
            let error = Error::new(ErrorKind::Unsupported, "an artifact cannot be a base image");
            return Err(error.target(base.manifest().digest()));
        }
        let config = base.config().await?;
        let layers = base.layers_of(Some(&config))?;
        let family = match base.manifest().media_type().is_docker() {
            true => Family::Docker,
            false => Family::Oci,
        };
        Ok(ImageOnBase {
            diff_ids: config.rootfs.diff_ids.clone(),
            config,
            layers: layers
                .iter()
                .map(|layer| layer.descriptor().clone())
                .collect(),
            base: base.clone(),
            family,
            added: Vec::new(),
        })
    }
}

impl ImageOnBase {
    /// Adds a layer on top: a tar, compressed on the way.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if the base's family has no such layers.
    pub fn layer(self, input: LayerInput, packing: &Packing) -> Result<Self> {
        let layer = input.tar(packing, self.family)?;
        Ok(self.pending(layer))
    }

    /// Adds a layer on top, which must be of the family.
    #[must_use]
    pub fn pending(mut self, layer: PendingLayer) -> Self {
        self.added.push(layer);
        self
    }

    /// The family of media types, which is that of the base.
    pub fn family(&self) -> Family {
        self.family
    }

    /// The source of a copy of this image: it has the base's layers.
    pub fn source(&self) -> &dyn Source {
        self.base.source().as_ref()
    }

    /// The image as a root of a copy from [`ImageOnBase::source`].
    pub fn into_draft(self) -> Draft {
        let (mut config, diff_ids) = (self.config, self.diff_ids);
        complete(&mut config, self.layers.len(), self.added.len());
        let make = move |added: &[Digest]| {
            let mut config = config.clone();
            config.rootfs.diff_ids = diff_ids.iter().chain(added).cloned().collect();
            let bytes = serde_json::to_vec(&config)
                .map_err(|error| Error::new(ErrorKind::Invalid, "image config").source(error))?;
            Ok(Bytes::from(bytes))
        };
        let stored = self.layers.into_iter().map(DraftLayer::Stored);
        let added = self.added.into_iter().map(DraftLayer::Pending);
        Draft {
            media_type: self.family.manifest(),
            config: DraftConfig::Later(LaterConfig::new(self.family.config(), make)),
            layers: stored.chain(added).collect(),
        }
    }
}

/// Adds an entry to the history for each new layer, unless the base has none, or the caller has
/// added them.
fn complete(config: &mut ImageConfig, base: usize, added: usize) {
    let with_layers = config
        .history
        .iter()
        .filter(|step| !step.empty_layer)
        .count();
    if with_layers == base && base > 0 {
        let step = History {
            created: config.created.clone(),
            ..History::default()
        };
        config.history.extend(std::iter::repeat_n(step, added));
    }
}
