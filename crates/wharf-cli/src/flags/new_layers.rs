//! Layers of files that a command adds on top of images.

use std::io;

use wharf::Result;
use wharf::image::EditedImage;
use wharf::layer::{AddedLayer, LayerForm, LayerInput, Packing};
use wharf::{Error, ErrorKind, Side};

use crate::context::Context;

/// Layers that a command adds on top of images, in order.
#[derive(Debug)]
pub(crate) struct NewLayers(Vec<AddedLayer>);

impl NewLayers {
    /// Opens these tar files; `-` is standard input.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] and its like, naming the file.
    pub(crate) async fn open(files: &[String], context: &Context) -> Result<Self> {
        if files.iter().filter(|file| *file == "-").count() > 1 {
            let message = "standard input is one layer: write - once";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let mut layers = Vec::with_capacity(files.len());
        for file in files {
            let input = match file.as_str() {
                "-" => {
                    context.reads_input("a layer");
                    LayerInput::reader("standard input", io::stdin())
                }
                path => LayerInput::file(path).await.map_err(of_source)?,
            };
            let layer = AddedLayer::new(input, Packing::default()).await;
            layers.push(layer.map_err(of_source)?);
        }
        Ok(NewLayers(layers))
    }

    /// The image with these layers on top.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for an artifact; as [`AddedLayer::layer`].
    pub(crate) fn on(&self, mut image: EditedImage) -> Result<EditedImage> {
        if !self.0.is_empty() && !image.is_runnable() {
            let message = "an artifact cannot be a base image";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let form = LayerForm::of(&image.config.os);
        for layer in &self.0 {
            let layer = layer.layer(image.family(), form)?;
            image = image.append(layer);
        }
        Ok(image)
    }
}

fn of_source(error: Error) -> Error {
    error.side(Side::Source)
}
