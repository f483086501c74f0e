//! The layers of an opened image.

use super::Wharf;
use crate::draft::DraftLayer;
use crate::image::StoredLayer;
use crate::place::OpenedSource;
use crate::place::platform::usual;
use crate::{Error, ErrorKind, Result, RootContent, Side};

impl Wharf {
    /// The layers of an opened image, the lowest first. Of an index they are those of the image for
    /// the platform of the options, or the only one there is, or that for linux/amd64.
    pub(super) async fn layers_in(&self, opened: &OpenedSource) -> Result<Vec<StoredLayer>> {
        match &opened.content {
            RootContent::Manifest(_) => {
                let image = self.image_in_or(opened, Some(&usual())).await?;
                image.layers().await
            }
            RootContent::Index(_) => {
                let message = "an index that is made while it is copied; copy it first";
                Err(Error::new(ErrorKind::Unsupported, message).side(Side::Source))
            }
            RootContent::Draft(draft) => {
                let layers = draft.layers.iter().map(|layer| tar_of(layer, opened));
                let layers: Result<Vec<StoredLayer>> = layers.collect();
                layers.map_err(|error| error.side(Side::Source))
            }
        }
    }
}

/// The tar of a layer of a draft.
fn tar_of(layer: &DraftLayer, opened: &OpenedSource) -> Result<StoredLayer> {
    let pending = match layer {
        DraftLayer::Stored(descriptor) => {
            return Ok(StoredLayer::of(opened.source.blob(descriptor), None));
        }
        DraftLayer::Recalled(recalled) => &recalled.layer,
        DraftLayer::Pending(pending) => pending,
    };
    let tar = pending.tar().cloned().ok_or_else(|| {
        let message = "this layer is made while it is sent, and cannot be read before";
        Error::new(ErrorKind::Unsupported, message).target(pending.name())
    })?;
    Ok(StoredLayer::of(tar, pending.diff_id().cloned()))
}
