//! `wharf copy SRC DST`: from anywhere to a registry or a layout directory.

use std::path::Path;

use wharf::place::{Access, OpenedSource, OpenedStore, Place};
use wharf::{Error, Result};

use crate::arguments::{Anywhere, Unreadable};
use crate::command::Run;
use crate::context::Context;
use crate::flags::{Effect, Moving};
use crate::stats;
use crate::transfer::Transfer;

/// Copy an image between registries and files
#[derive(Debug, clap::Args)]
#[command(visible_alias = "cp", after_help = HELP)]
pub(crate) struct Copy {
    /// Source
    #[arg(value_name = "SRC", value_parser = source)]
    source: Anywhere,
    /// Destination: a registry reference or oci:DIR[:TAG]
    #[arg(value_name = "DST")]
    destination: Anywhere,
    #[command(flatten)]
    moving: Moving,
}

const HELP: &str = "\
SRC and DST are each one of:
  REGISTRY/REPOSITORY[:TAG][@DIGEST]   an image in a registry
  oci:DIR[:TAG|@DIGEST]                an OCI image layout directory
  oci-archive:FILE[:TAG|@DIGEST]       a tar of one (SRC only; - is standard input)
  docker-archive:FILE[:NAME[:TAG]|@DIGEST]
                                       what `docker save` writes (SRC only)
A DST without a tag gets the tag of SRC.

Examples:
  wharf copy registry.example/app:1 oci:app
  wharf copy --platform linux/arm64 alpine:3 localhost:5000/alpine";

impl Run for Copy {
    fn effect(&self) -> Effect {
        self.moving.effect()
    }

    /// Copies; standard output stays empty.
    async fn run(self, context: &Context) -> Result<()> {
        let (source, destination) = (&self.source.place, &self.destination.place);
        OpenedStore::check(destination)?;
        // One client for both sides: what one repository has, the other may mount.
        let client = context.client()?;
        let options = context.place_options();
        let chosen = OpenedSource::open(source, &client, &context.retry, &options).await;
        let chosen = match source {
            Place::Registry(_) => chosen.map_err(|error| hinted(error, &self.source.typed))?,
            Place::Local(_) => chosen?,
        };
        let access = match self.moving.dry_run {
            true => Access::Ask,
            false => Access::Write,
        };
        let destination = OpenedStore::open(destination, &chosen, &client, access).await?;
        let transfer = Transfer {
            chosen: &chosen,
            moving: &self.moving,
            verb: "copied",
        };
        transfer.run(&destination, context).await?;
        stats::say(&context.printer, &self.moving, &client);
        Ok(())
    }
}

fn source(text: &str) -> Result<Anywhere, Unreadable> {
    let place: Result<Anywhere, Unreadable> = text.parse();
    place.map_err(|Unreadable(error)| hinted(error, text).into())
}

/// Names the file or directory of this name, if there is one.
fn hinted(error: Error, text: &str) -> Error {
    let path = Path::new(text);
    let hint = match () {
        () if path.is_dir() => format!("did you mean the directory oci:{text}?"),
        () if path.is_file() => {
            format!("did you mean the file docker-archive:{text} or oci-archive:{text}?")
        }
        () => return error,
    };
    Error::new(error.kind(), format!("{error}; {hint}"))
}
