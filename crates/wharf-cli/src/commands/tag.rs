//! `wharf tag IMAGE TAG…`: adds tags to an image in its repository (wire.md O4, O6).

use std::collections::BTreeSet;

use wharf::Result;

use crate::arguments::Image;
use crate::command::Run;
use crate::context::Context;
use crate::units::short;

/// Add tags to an image in a registry
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Tag {
    /// Image, REGISTRY/REPOSITORY[:TAG][@DIGEST]
    image: Image,
    /// Tags to add, in the same repository
    #[arg(required = true, value_name = "TAG")]
    tags: Vec<wharf_oci::Tag>,
}

const HELP: &str = "\
Example:
  wharf tag registry.example/app:1.2 1 latest";

impl Run for Tag {
    /// Puts the manifest's own bytes under each tag; standard output stays empty.
    async fn run(self, context: &Context) -> Result<()> {
        let Image(image) = self.image;
        let tags: BTreeSet<_> = self.tags.into_iter().collect();
        let tags: Vec<_> = tags.into_iter().collect();
        let tagged = context.wharf()?.tag(&image, &tags).await?;
        let names: Vec<_> = tags.iter().map(ToString::to_string).collect();
        let (name, digest) = (image.repository(), short(&tagged.digest));
        let line = format!("{name}: {digest} is tagged {}", names.join(", "));
        context.printer.say(&line);
        Ok(())
    }
}
