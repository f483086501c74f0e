//! A tar that is added as a layer to one image, or to several of different kinds.

use std::collections::HashMap;

use wharf_oci::{Compression, MediaType};

use super::input::{Beginning, LayerInput};
use super::packing::{Family, Packing};
use super::pending::PendingLayer;
use crate::sync::Lock;
use crate::{Error, ErrorKind, Result, sniff};

/// A tar that is added as a layer to one image, or to several. A plain tar is compressed on the way;
/// one that is compressed with gzip or zstd stays as it is.
///
/// Images of one family and form share the layer: it is made once.
#[derive(Debug)]
pub struct AddedLayer {
    input: LayerInput,
    compression: Compression,
    packing: Packing,
    made: Lock<HashMap<(Family, LayerForm), PendingLayer>>,
}

/// Where a layer has its files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LayerForm {
    /// At the root, as everywhere but on Windows.
    #[default]
    Plain,
    /// Below `Files/`, each with a security descriptor.
    Windows,
}

impl LayerForm {
    /// The form of layers of an operating system, in Go's spelling.
    pub fn of(os: &str) -> Self {
        match os {
            "windows" => LayerForm::Windows,
            _ => LayerForm::Plain,
        }
    }
}

impl AddedLayer {
    /// A layer of `input`, a tar that is plain or compressed: its first bytes tell. Plain ones are
    /// packed by `packing`.
    ///
    /// # Errors
    /// The input's error; [`ErrorKind::Unsupported`] for a compression that layers cannot have.
    pub async fn new(input: LayerInput, packing: Packing) -> Result<Self> {
        let Beginning { head, input } = input.begin(sniff::ENOUGH).await?;
        let compression = match sniff::Packing::of(&head) {
            None => Compression::None,
            Some(sniff::Packing::Gzip) => Compression::Gzip,
            Some(sniff::Packing::Zstd) => Compression::Zstd,
            Some(other @ (sniff::Packing::Xz | sniff::Packing::Bzip2)) => {
                let message = format!(
                    "is compressed with {}, and layers only with gzip or zstd",
                    other.name()
                );
                let error = Error::new(ErrorKind::Unsupported, message);
                return Err(error.target(input.name()));
            }
        };
        Ok(AddedLayer {
            input,
            compression,
            packing,
            made: Lock::default(),
        })
    }

    /// The layer, for an image of this family and form.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if it comes from a stream, and images of another kind have it
    /// already: a stream is read once.
    pub fn layer(&self, family: Family, form: LayerForm) -> Result<PendingLayer> {
        let mut made = self.made.lock();
        if let Some(layer) = made.get(&(family, form)) {
            return Ok(layer.clone());
        }
        if self.input.comes_once() && !made.is_empty() {
            let message = "can be read once, but the images are of different kinds; use a file";
            return Err(Error::new(ErrorKind::Unsupported, message).target(self.input.name()));
        }
        let layer = self.make(family, form)?;
        made.insert((family, form), layer.clone());
        Ok(layer)
    }

    fn make(&self, family: Family, form: LayerForm) -> Result<PendingLayer> {
        let input = self.input.clone();
        if form == LayerForm::Windows {
            return input.for_windows().tar(&self.packing, family);
        }
        let input = input.only_tar();
        match self.compression {
            Compression::None => input.tar(&self.packing, family),
            Compression::Gzip => input.compressed(Compression::Gzip, family),
            Compression::Zstd => {
                // Docker itself does not read them, but the images of its family may have them.
                let media_type = match family {
                    Family::Oci => MediaType::OCI_LAYER_ZSTD,
                    Family::Docker => MediaType::DOCKER_LAYER_ZSTD,
                };
                Ok(input.compressed_as(Compression::Zstd, media_type))
            }
        }
    }
}
