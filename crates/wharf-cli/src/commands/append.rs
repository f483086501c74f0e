//! `wharf append -f FILE… -t REF`: layers on top of an image, or of each image of an index.

use wharf::image::{Edited, EditedImage};
use wharf::layer::Family;
use wharf::place::{OpenedSource, Place};
use wharf::{Error, ErrorKind, Result, Wharf};
use wharf_oci::{ANNOTATION_BASE_DIGEST, ANNOTATION_BASE_NAME};

use crate::arguments::Anywhere;
use crate::command::{OnSignal, Run};
use crate::context::Context;
use crate::flags::{Effect, List, NewLayers, ResultTo};

/// Add layers on top of an image
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Append {
    /// Layers to add: tar files, also compressed with gzip or zstd, or - for standard input
    #[arg(short = 'f', long, value_name = "FILE,…", required = true)]
    #[arg(alias = "new_layer", allow_hyphen_values = true)]
    new_layer: Vec<List>,
    /// Image or index to add them to; without it, an empty image
    #[arg(short, long, value_name = "REF")]
    base: Option<Anywhere>,
    /// Without --base, use the media types of OCI, not of Docker
    #[arg(long, conflicts_with = "base")]
    oci_empty_base: bool,
    /// Set the annotations for the name and the digest of the base image
    #[arg(long, requires = "base")]
    set_base_image_annotations: bool,
    #[command(flatten)]
    to: ResultTo,
}

const HELP: &str = "\
A plain tar is compressed while it is sent; other files are used as they are. The layers of the base
are neither read nor uploaded again. Of an index each image gets the layers, unless --platform names
one. Prints the result with its digest, so that another command can take it.

Examples:
  wharf append -b alpine:3 -f app.tar -t registry.example/app:1
  tar -c app | wharf append -b registry.example/base -f - -t registry.example/app:1
  wharf mutate $(wharf append -b alpine -f app.tar -t registry.example/app) --entrypoint /app";

impl Run for Append {
    fn effect(&self) -> Effect {
        Effect::Lasting
    }

    fn on_signal(&self) -> OnSignal {
        OnSignal::Pause
    }

    /// Adds the layers, and prints the reference of the result.
    async fn run(self, context: &Context) -> Result<()> {
        if !self.to.is_named() {
            let message = "nothing says where the result goes: add -t REF";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let files = List::all(self.new_layer.clone());
        let layers = NewLayers::open(&files, context).await?;
        let wharf = context.wharf()?;
        let (opened, edited) = self.open(&wharf, context).await?;
        let edited = edited.map(&mut |image, _| {
            let image = self.annotated(image);
            layers.on(image)
        })?;
        let result = opened.changed_to(edited);
        self.to.land(context, &wharf, &result, None).await
    }
}

impl Append {
    /// The base, to be changed.
    async fn open(&self, wharf: &Wharf, context: &Context) -> Result<(OpenedSource, Edited)> {
        if let Some(base) = &self.base {
            let opened = wharf.read(&base.place).await?;
            let edited = self.to.edit(wharf, &opened).await?;
            return Ok((opened, edited));
        }
        let (family, kind) = match self.oci_empty_base {
            true => (Family::Oci, "OCI"),
            false => (Family::Docker, "Docker"),
        };
        let printer = &context.printer;
        printer.say(&format!(
            "no base image, so an empty {kind} image is used, for no platform"
        ));
        let empty = EditedImage::empty(family);
        let opened = OpenedSource::new(empty.source().clone(), empty.clone());
        Ok((opened, Edited::Image(empty)))
    }

    /// The image with annotations about its base, if they are wanted. A name by digest says nothing
    /// that the digest does not say.
    fn annotated(&self, mut image: EditedImage) -> EditedImage {
        let (Some(base), true) = (&self.base, self.set_base_image_annotations) else {
            return image;
        };
        if let Some(digest) = image.base().map(|base| base.digest.to_string()) {
            let annotations = &mut image.fields.annotations;
            annotations.insert(ANNOTATION_BASE_DIGEST.to_owned(), digest);
        }
        if let Place::Registry(reference) = &base.place
            && reference.digest().is_none()
        {
            let tag = reference.tag_or_latest();
            let name = format!("{}:{tag}", reference.repository());
            let annotations = &mut image.fields.annotations;
            annotations.insert(ANNOTATION_BASE_NAME.to_owned(), name);
        }
        image
    }
}
