//! An image with one layer in the place of all.

use std::path::PathBuf;
use std::sync::Arc;

use futures::FutureExt;
use wharf_oci::{History, compact_json};

use super::edited::EditedImage;
use super::edited_layer::EditedLayer;
use super::stored_layer::StoredLayer;
use crate::copy::RetryPolicy;
use crate::layer::{LayerInput, Packing};
use crate::rootfs::RootFs;
use crate::{Error, ErrorKind, Result, Side};

/// How layers become one.
#[derive(Clone, Debug)]
pub struct Flattening {
    /// When the image is made, RFC 3339.
    pub created: String,
    /// What makes it, for the history: a command without the digest that follows.
    pub created_by: String,
    /// How the layer is compressed.
    pub packing: Packing,
    /// The directory for temporary files, which hold layers of registries.
    pub spool_dir: PathBuf,
    /// How often an interrupted read is tried again.
    pub retry: RetryPolicy,
}

impl EditedImage {
    /// The same image with one layer, which has the files that a container would see. The history
    /// becomes one entry, with that of before as its comment.
    ///
    /// The layers are read when the new one is made, while it is sent.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for an artifact, which has no layers of files, and for layers that
    /// cannot be read before they are sent.
    pub fn flattened(mut self, how: &Flattening) -> Result<Self> {
        if !self.is_runnable() {
            let message = "an artifact has no layers of files";
            return Err(Error::new(ErrorKind::Unsupported, message).side(Side::Source));
        }
        let source = self.source().as_ref();
        let layers = self.layers().iter();
        let layers = layers.map(|layer| layer.readable(source, how.retry));
        let layers: Arc<[StoredLayer]> = layers.collect::<Result<_>>()?;
        let spool: Arc<PathBuf> = Arc::new(how.spool_dir.clone());
        let input = LayerInput::again("the layers together", move || {
            let (layers, spool) = (Arc::clone(&layers), Arc::clone(&spool));
            async move {
                let blobs: Vec<_> = layers.iter().map(|layer| layer.blob().clone()).collect();
                Ok(RootFs::merge(&blobs, &spool).await?.tar())
            }
            .boxed()
        });
        let layer = input.tar(&how.packing, self.family())?;
        let created_by = match self.base() {
            Some(base) => format!("{} {}", how.created_by, base.digest),
            None => how.created_by.clone(),
        };
        let comment = match self.config.history.is_empty() {
            true => None,
            false => Some(told(&self.config.history)?),
        };
        self.config.created = Some(how.created.clone());
        self.config.history = vec![History {
            created: Some(how.created.clone()),
            created_by: Some(created_by),
            comment,
            ..History::default()
        }];
        Ok(self.with_layers(vec![EditedLayer::pending(layer)]))
    }
}

/// A history as text.
fn told(history: &[History]) -> Result<String> {
    let unwritten = |error| Error::new(ErrorKind::Invalid, "history of the image").source(error);
    let written = compact_json(&history).map_err(unwritten)?;
    Ok(String::from_utf8_lossy(&written).into_owned())
}
