//! `wharf delete IMAGE…`: tags, or manifests by digest, out of registries (wire.md O9).

use std::cell::Cell;

use wharf::remote::Client;
use wharf::store::Store;
use wharf::{Error, ErrorKind, Result};
use wharf_oci::{Reference, Selector};

use crate::args::Delete;
use crate::context::Context;
use crate::failures;

/// Deletes each IMAGE; standard output stays empty.
///
/// # Errors
/// Where an IMAGE makes no sense, before anything is deleted; where one cannot be deleted, after
/// the others were.
pub(crate) async fn run(args: &Delete, context: &Context) -> Result<()> {
    let (mut targets, mut failed) = (Vec::new(), Vec::new());
    for image in &args.images {
        match target(image) {
            Ok(target) => targets.push(target),
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

/// What is to be deleted: nothing is deleted that was not named.
fn target(image: &str) -> Result<(Reference, Selector)> {
    let invalid = |message: String| Error::new(ErrorKind::Invalid, message);
    let reference: Reference = image
        .parse()
        .map_err(|error: wharf_oci::ReferenceError| invalid(error.to_string()))?;
    let message = match (reference.tag(), reference.digest()) {
        (Some(tag), None) => {
            let at = Selector::Tag(tag.clone());
            return Ok((reference, at));
        }
        (None, Some(digest)) => {
            let at = Selector::Digest(digest.clone());
            return Ok((reference, at));
        }
        (None, None) => "no tag and no digest; write REPOSITORY:TAG or REPOSITORY@DIGEST",
        (Some(_), Some(_)) => {
            "a tag and a digest; write REPOSITORY:TAG to delete the tag, REPOSITORY@DIGEST to \
             delete the manifest with all its tags"
        }
    };
    Err(invalid(message.to_owned()).target(image))
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
        // A try whose answer was lost had done it.
        Err(error) if error.kind() == ErrorKind::NotFound && tried.get() => Ok(()),
        outcome => {
            tried.set(true);
            outcome
        }
    };
    context.retry.run(delete).await
}
