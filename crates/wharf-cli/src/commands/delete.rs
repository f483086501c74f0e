//! `wharf delete IMAGE…`: tags, or manifests by digest, out of registries (wire.md O9).

use std::cell::Cell;

use wharf::remote::Client;
use wharf::store::Store;
use wharf::{Error, ErrorKind, Result};
use wharf_oci::{Reference, Selector};

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
}

const HELP: &str = "\
A tag is deleted alone, and its manifest stays; a digest deletes the manifest with all its tags.
Some registries support only one of these, or neither. If one IMAGE fails, the others are still
deleted.

Example:
  wharf delete registry.example/app:old";

impl Run for Delete {
    /// Deletes nothing where an IMAGE makes no sense; else each on its own. Standard output stays
    /// empty.
    async fn run(self, context: &Context) -> Result<()> {
        let (mut targets, mut failed) = (Vec::new(), Vec::new());
        for Image(reference) in self.images {
            match selector(&reference) {
                Ok(at) => targets.push((reference, at)),
                Err(error) => failed.push(error),
            }
        }
        failures::all(failed)?;
        let (client, mut failed) = (context.client()?, Vec::new());
        for (reference, at) in &targets {
            match delete(reference, at, &client, context).await {
                Ok(()) => context.printer.say(&format!("deleted {reference}")),
                Err(error) => failed.push(error),
            }
        }
        failures::all(failed)
    }
}

/// What is to be deleted: nothing is deleted that was not named.
fn selector(reference: &Reference) -> Result<Selector> {
    let message = match (reference.tag(), reference.digest()) {
        (Some(tag), None) => return Ok(Selector::Tag(tag.clone())),
        (None, Some(digest)) => return Ok(Selector::Digest(digest.clone())),
        (None, None) => "no tag and no digest; write REPOSITORY:TAG or REPOSITORY@DIGEST",
        (Some(_), Some(_)) => {
            "a tag and a digest; write REPOSITORY:TAG to delete the tag, REPOSITORY@DIGEST to \
             delete the manifest with all its tags"
        }
    };
    Err(Error::new(ErrorKind::Invalid, message).target(reference))
}

async fn delete(
    reference: &Reference,
    at: &Selector,
    client: &Client,
    context: &Context,
) -> Result<()> {
    let repository = client.repository(reference.repository());
    let tried = Cell::new(false);
    let delete = async || match repository.delete(at).await {
        // An earlier try deleted it, and its answer was lost.
        Err(error) if error.kind() == ErrorKind::NotFound && tried.get() => Ok(()),
        outcome => {
            tried.set(true);
            outcome
        }
    };
    context.retry.run(delete).await
}
