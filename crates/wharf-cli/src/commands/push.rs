//! `wharf push PATH [REF]…`: from disk to registries, or into the embedded one.

use wharf::remote::Client;
use wharf::{Error, ErrorKind, Result};
use wharf_oci::Reference;

use crate::args::Push;
use crate::commands::embed;
use crate::context::Context;
use crate::destination::Destination;
use crate::image_refs::ImageRefs;
use crate::location::Local;
use crate::source::{Chosen, Part};
use crate::transfer::Transfer;
use crate::{platform, stats};

/// Pushes to each REF in turn; prints each with its digest.
///
/// # Errors
/// Where PATH or a REF makes no sense, or the file for the references cannot be written, before
/// anything is sent; where a push fails.
pub(crate) async fn run(args: &Push, context: &Context) -> Result<()> {
    let references = args
        .references
        .iter()
        .map(|text| parse(text))
        .collect::<Result<Vec<_>>>()?;
    let local = Local::parse(&args.path)?;
    let part = match args.index {
        true => Part::Whole,
        false => Part::One,
    };
    let image_refs = args.image_refs.as_deref().map(ImageRefs::open);
    let image_refs = image_refs.transpose()?;
    let chosen = Chosen::local(&local, part).await?;
    let chosen = platform::pick(chosen, &context.platform, &context.retry).await?;
    let client = context.client()?;
    let pushed = match references.is_empty() {
        true => embed::push(&chosen, &local.place, &args.moving, &client, context)
            .await?
            .into_iter()
            .collect(),
        false => to_registries(args, &references, &chosen, &client, context).await?,
    };
    stats::say(context.printer, &args.moving, &client);
    match image_refs {
        Some(file) => file.write(&pushed),
        None => Ok(()),
    }
}

fn parse(text: &str) -> Result<Reference> {
    text.parse().map_err(|error: wharf_oci::ReferenceError| {
        Error::new(ErrorKind::Invalid, error.to_string())
    })
}

async fn to_registries(
    args: &Push,
    references: &[Reference],
    chosen: &Chosen,
    client: &Client,
    context: &Context,
) -> Result<Vec<String>> {
    let destinations = references
        .iter()
        .map(|reference| Destination::registry(reference, chosen, client))
        .collect::<Result<Vec<_>>>()?;
    let mut pushed = Vec::new();
    for (reference, destination) in references.iter().zip(&destinations) {
        let transfer = Transfer {
            chosen,
            destination,
            moving: &args.moving,
            verb: "pushed",
        };
        let Some(root) = transfer.run(context).await? else {
            continue;
        };
        let line = reference.with_digest(root.digest).to_string();
        context.printer.data(&line)?;
        pushed.push(line);
    }
    Ok(pushed)
}
