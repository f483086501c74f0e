//! The layers of an opened image.

use super::Wharf;
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
                let (source, retry) = (opened.source.as_ref(), self.options().copy.retry);
                let layers = draft.layers.iter();
                layers
                    .map(|layer| StoredLayer::of_draft(layer, source, retry))
                    .collect()
            }
        }
    }
}
