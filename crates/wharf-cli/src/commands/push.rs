//! `wharf push PATH [REF]…`: from disk to registries, or into the embedded one.

use wharf::place::{LocalPlace, OpenedSource, OpenedStore, Part};
use wharf::remote::Client;
use wharf::{Error, ErrorKind, Result};
use wharf_oci::Reference;

use crate::args::Push;
use crate::commands::embed;
use crate::context::Context;
use crate::image_refs::ImageRefs;
use crate::transfer::Transfer;
use crate::{failures, stats};

/// Pushes to each REF; prints each with its digest.
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
    let local = LocalPlace::parse(&args.path)?;
    let part = match args.index {
        true => Part::Whole,
        false => Part::One,
    };
    let image_refs = args.image_refs.as_deref().map(ImageRefs::open);
    let image_refs = image_refs.transpose()?;
    let options = context.place_options();
    let chosen = OpenedSource::local(&local, part, &context.retry, &options).await?;
    let client = match references.is_empty() {
        // The embedded registry has another port each time.
        true => context.forgetful_client()?,
        false => context.client()?,
    };
    let pushed = match references.is_empty() {
        true => embed::push(&chosen, &local.at, &args.moving, &client, context)
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

/// Pushes to all at once, reading and compressing everything once; each REF fails or succeeds on
/// its own. What was pushed is printed; of several errors the last is given, the others are said.
async fn to_registries(
    args: &Push,
    references: &[Reference],
    chosen: &OpenedSource,
    client: &Client,
    context: &Context,
) -> Result<Vec<String>> {
    let repositories = by_repository(references, chosen, client)?;
    let transfer = Transfer {
        chosen,
        moving: &args.moving,
        verb: "pushed",
    };
    let destinations: Vec<&OpenedStore> = repositories.iter().map(|(to, _)| to).collect();
    let outcomes = transfer.run_all(&destinations, context).await;
    let (mut pushed, mut failed) = (Vec::new(), Vec::new());
    for (outcome, (_, references)) in outcomes.into_iter().zip(&repositories) {
        match outcome {
            Ok(None) => {}
            Ok(Some(root)) => {
                for (position, reference) in references {
                    let line = (*reference).clone().with_digest(root.digest.clone());
                    pushed.push((*position, line.to_string()));
                }
            }
            Err(error) => failed.push(error),
        }
    }
    pushed.sort();
    for (_, line) in &pushed {
        context.printer.data(line)?;
    }
    failures::all(failed)?;
    Ok(pushed.into_iter().map(|(_, line)| line).collect())
}

type Destinations<'a> = Vec<(OpenedStore, Vec<(usize, &'a Reference)>)>;

/// Each repository once, with all its tags (wire.md O6), and the references that name it.
fn by_repository<'a>(
    references: &'a [Reference],
    chosen: &OpenedSource,
    client: &Client,
) -> Result<Destinations<'a>> {
    let mut repositories: Destinations<'a> = Vec::new();
    for (position, reference) in references.iter().enumerate() {
        let destination = OpenedStore::registry(reference, chosen, client)?;
        let same = repositories.iter_mut().find(|(_, of)| {
            of.iter()
                .any(|(_, one)| one.repository() == reference.repository())
        });
        match same {
            Some((known, of)) => {
                for tag in destination.tags {
                    if !known.tags.contains(&tag) {
                        known.tags.push(tag);
                    }
                }
                of.push((position, reference));
            }
            None => repositories.push((destination, vec![(position, reference)])),
        }
    }
    Ok(repositories)
}
