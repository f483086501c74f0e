//! `wharf tag IMAGE TAG…`: an image of a repository under further tags of it (wire.md O4, O6).

use std::collections::BTreeSet;

use wharf::copy::RootContent;
use wharf::place::{OpenedSource, Place};
use wharf::store::Store;
use wharf::{Error, ErrorKind, Result, Side};

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
        let Image(reference) = self.image;
        let client = context.client()?;
        let repository = client.repository(reference.repository());
        let place = Place::Registry(reference.clone());
        let options = context.place_options();
        let chosen = OpenedSource::open(&place, &client, &context.retry, &options).await?;
        let RootContent::Manifest(descriptor) = &chosen.content else {
            let message = "a registry gave an image that is not made yet";
            return Err(Error::new(ErrorKind::Invalid, message).target(reference));
        };
        let fetch = async || chosen.source.manifest(descriptor).await;
        let manifest = context.retry.run(fetch).await;
        let manifest = manifest.map_err(|error| error.side(Side::Source))?;
        let tags: BTreeSet<_> = self.tags.into_iter().collect();
        let tags: Vec<_> = tags.into_iter().collect();
        let put = async || repository.put_tags(&manifest, &tags).await;
        let put = context.retry.run(put).await;
        put.map_err(|error| error.side(Side::Destination))?;
        let names: Vec<_> = tags.iter().map(ToString::to_string).collect();
        let (name, digest) = (repository.repository(), short(manifest.digest()));
        let line = format!("{name}: {digest} is tagged {}", names.join(", "));
        context.printer.say(&line);
        Ok(())
    }
}
