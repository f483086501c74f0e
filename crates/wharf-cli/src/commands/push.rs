//! `wharf push PATH [REF]…`: from disk to registries, or into the embedded one.

use std::net::SocketAddr;

use wharf::remote::Client;
use wharf::{Error, ErrorKind, Result};
use wharf_oci::{Reference, Repository};

use crate::args::Push;
use crate::context::{self, Context};
use crate::destination::Destination;
use crate::location::{Local, Place};
use crate::source::Chosen;
use crate::transfer::Transfer;
use crate::{embedded, image_refs, listing, naming, platform};

/// Pushes to each REF in turn; prints each with its digest.
///
/// # Errors
/// Where PATH or a REF makes no sense, before anything is sent; where a push fails.
pub(crate) async fn run(args: &Push, context: &Context) -> Result<()> {
    let references = args
        .references
        .iter()
        .map(|text| parse(text))
        .collect::<Result<Vec<_>>>()?;
    let local = Local::parse(&args.path)?;
    let chosen = Chosen::local(&local, context).await?;
    let chosen = platform::pick(chosen, &context.platform, &context.retry).await?;
    let client = match references.is_empty() {
        // The embedded registry has another port each time.
        true => context.forgetful_client()?,
        false => context.client()?,
    };
    let pushed = match references.is_empty() {
        true => vec![into_embedded(args, &chosen, &local.place, &client, context).await?],
        false => to_registries(args, &references, &chosen, &client, context).await?,
    };
    match &args.image_refs {
        Some(file) => image_refs::write(file, &pushed),
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
        let root = transfer.run(context).await?;
        let line = reference.with_digest(root.digest).to_string();
        context.printer.data(&line)?;
        pushed.push(line);
    }
    Ok(pushed)
}

/// Pushes to a registry inside this process, under a name that `wharf registry serve` will have.
async fn into_embedded(
    args: &Push,
    chosen: &Chosen,
    place: &Place,
    client: &Client,
    context: &Context,
) -> Result<String> {
    let directory = context::registry_directory()?;
    let name = naming::repository(chosen, place);
    let push = async |address: SocketAddr| {
        let repository = Repository::new(embedded::registry(address), name.clone())
            .map_err(|error| Error::new(ErrorKind::Invalid, error.to_string()))?;
        let reference = Reference::new(repository, None, None);
        let destination = Destination::registry(&reference, chosen, client)?;
        let transfer = Transfer {
            chosen,
            destination: &destination,
            moving: &args.moving,
            verb: "pushed",
        };
        let root = transfer.run(context).await?;
        let lines = listing::lines(destination.store.as_ref(), &root).await?;
        Ok((root, destination.tags, lines))
    };
    let (root, tags, lines) = embedded::during(&directory, push).await?;
    let served = format!("{}/{name}", embedded::SERVED);
    let tag = tags.first().map(ToString::to_string).unwrap_or_default();
    let line = format!("{served}@{}", root.digest);
    context.printer.data(&line)?;
    let listing = [format!("{served}:{tag}")].into_iter().chain(lines);
    for line in listing.chain(how_to_pull(&served, &tag, name.as_str())) {
        context.printer.say(&line);
    }
    Ok(line)
}

fn how_to_pull(served: &str, tag: &str, name: &str) -> [String; 3] {
    let directory = name.rsplit('/').next().unwrap_or(name);
    [
        "to serve it:  wharf registry serve".to_owned(),
        format!("to pull it:   wharf copy {served}:{tag} oci:{directory}"),
        format!("              docker pull {served}:{tag}"),
    ]
}
