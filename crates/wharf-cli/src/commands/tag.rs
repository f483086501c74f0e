//! `wharf tag IMAGE TAG…`: adds tags to an image in its repository (wire.md O4, O6).

use std::collections::BTreeSet;
use std::time::Instant;

use wharf::Result;

use crate::arguments::Image;
use crate::command::Run;
use crate::context::Context;
use crate::progress::place;
use crate::units::seconds;

/// Add tags to an image in a registry
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Tag {
    /// Image, REGISTRY/REPOSITORY[:TAG][@DIGEST]; without a tag, latest
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
        let (Image(image), started) = (self.image, Instant::now());
        let tags: BTreeSet<_> = self.tags.into_iter().collect();
        let tags: Vec<_> = tags.into_iter().collect();
        let tagged = context.wharf()?.tag(&image, &tags).await?;
        let place = place(&image.repository().to_string(), &tags, Some(&tagged.digest));
        let time = seconds(started.elapsed());
        context.printer.say(&format!("{place}  tagged; {time}"));
        Ok(())
    }
}
