//! `wharf delete IMAGE…`: deletes tags, or manifests by digest (wire.md O9).

use wharf::Result;
use wharf::front::{deletable, only_tag};

use crate::arguments::Image;
use crate::command::Run;
use crate::context::Context;
use crate::failures;

/// Delete tags, or manifests by digest
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Delete {
    /// REGISTRY/REPOSITORY:TAG or REGISTRY/REPOSITORY@DIGEST
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<Image>,
    /// Delete only tags, by way of a throw-away manifest in registries that delete manifests only
    #[arg(long)]
    tag_only: bool,
}

const HELP: &str = "\
A tag is deleted alone, and its manifest stays; a digest deletes the manifest with all its tags.
Some registries support only one of these, or neither. If one IMAGE fails, the others are still
deleted.

Where a registry deletes manifests only, --tag-only moves the tag to a throw-away manifest and
deletes that one by its digest. The manifest that the tag named stays, with its other tags.

Examples:
  wharf delete registry.example/app:old
  wharf delete --tag-only localhost:5000/app:old";

impl Run for Delete {
    /// Deletes nothing if an IMAGE is malformed; otherwise each on its own. Standard output stays
    /// empty.
    async fn run(self, context: &Context) -> Result<()> {
        let images = self.images.iter().map(|Image(image)| image);
        let unclear = images.clone().filter_map(|image| {
            let error = match self.tag_only {
                true => only_tag(image).err()?,
                false => deletable(image).err()?,
            };
            Some(error.target(image))
        });
        failures::all(&context.printer, unclear.collect())?;
        let (wharf, mut failed) = (context.wharf()?, Vec::new());
        for image in images {
            let deleted = match self.tag_only {
                true => wharf.delete_tag(image).await,
                false => wharf.delete(image).await,
            };
            match deleted {
                Ok(()) => context.printer.say(&format!("deleted {image}")),
                Err(error) => failed.push(error),
            }
        }
        failures::all(&context.printer, failed)
    }
}
