//! Images for tools that read no zstd: its layers are made anew with gzip, with the same diff ids.

use std::sync::Arc;

use futures::{FutureExt, StreamExt, TryStreamExt};
use wharf_oci::{Compression, Descriptor, Digest, ImageConfig, MAX_CONFIG_SIZE, MediaType};

use super::stored::StoredImage;
use super::stored_layer::StoredLayer;
use crate::copy::{RetryPolicy, RootContent};
use crate::draft::{Draft, DraftConfig, DraftLayer};
use crate::layer::{Packing, PendingLayer};
use crate::store::Source;
use crate::{Error, ErrorKind, Result, Side};

impl StoredImage {
    /// The image as a root of a copy, for tools that load docker archives: its layers with zstd are
    /// made anew with gzip, because older versions of Docker and Podman read no other. Config, diff
    /// ids and all other layers stay; without such a layer it is the image itself.
    ///
    /// # Errors
    /// As [`StoredImage::config`]; [`ErrorKind::Corrupt`] if the config has another number of layers.
    pub async fn loadable(&self) -> Result<RootContent> {
        if !self.image().layers.iter().any(is_zstd) {
            return Ok(self.descriptor().clone().into());
        }
        let image = self.image();
        let draft = Draft {
            media_type: self.manifest().media_type().clone(),
            config: DraftConfig::Stored(image.config.clone()),
            layers: image
                .layers
                .iter()
                .cloned()
                .map(DraftLayer::Stored)
                .collect(),
            fields: image.into(),
        };
        let draft = loadable(self.source(), draft, self.policy()).await?;
        Ok(RootContent::Draft(draft))
    }
}

/// A draft of images that `source` has, as [`StoredImage::loadable`] makes it of an image.
///
/// # Errors
/// As [`StoredImage::loadable`].
pub async fn loadable(
    source: &Arc<dyn Source>,
    mut draft: Draft,
    retry: RetryPolicy,
) -> Result<Draft> {
    let stored = |layer: &DraftLayer| matches!(layer, DraftLayer::Stored(of) if is_zstd(of));
    // A config that is made at the end tells no diff ids before.
    let Some(config) = draft
        .config
        .stored()
        .filter(|_| draft.layers.iter().any(stored))
    else {
        return Ok(draft);
    };
    let diff_ids = diff_ids(source, config, retry).await?;
    if diff_ids.len() != draft.layers.len() {
        let (there, stated) = (draft.layers.len(), diff_ids.len());
        let message = format!("{there} layers, but the config states {stated}");
        let error = Error::new(ErrorKind::Corrupt, message);
        return Err(error.target(&config.digest).side(Side::Source));
    }
    for (layer, diff_id) in draft.layers.iter_mut().zip(diff_ids) {
        if let DraftLayer::Stored(descriptor) = layer
            && is_zstd(descriptor)
        {
            let blob = source.blob(descriptor);
            let stored = StoredLayer::new(&blob, Some(diff_id.clone()), retry);
            *layer = DraftLayer::Pending(gzipped(stored, diff_id));
        }
    }
    Ok(draft)
}

fn is_zstd(layer: &Descriptor) -> bool {
    layer.media_type.compression() == Some(Compression::Zstd)
}

async fn diff_ids(
    source: &Arc<dyn Source>,
    config: &Descriptor,
    retry: RetryPolicy,
) -> Result<Vec<Digest>> {
    let blob = retry.reading(&source.blob(config));
    let config = ImageConfig::parse(&blob.read_all(MAX_CONFIG_SIZE).await?);
    let config = config.map_err(|error| {
        let error = Error::from(error).target(&blob.descriptor().digest);
        error.side(Side::Source)
    })?;
    Ok(config.rootfs.diff_ids)
}

fn gzipped(layer: StoredLayer, diff_id: Digest) -> PendingLayer {
    let media_type = match layer.descriptor().media_type.is_docker() {
        true => MediaType::DOCKER_LAYER_GZIP,
        false => MediaType::OCI_LAYER_GZIP,
    };
    let packing = Packing::default();
    let pending = PendingLayer::new(diff_id, 0, media_type, move || {
        let (layer, packing) = (layer.clone(), packing.clone());
        async move {
            let tar = layer.uncompressed().await.map_err(lasting)?;
            Ok(packing.pack(tar.map_err(lasting).boxed()))
        }
        .boxed()
    });
    pending.of_size(None)
}

/// The reading was tried as often as it may: it is not tried again as a whole.
fn lasting(error: Error) -> Error {
    error.transient(false)
}
