//! `wharf tag IMAGE TAG…`: an image of a repository under further tags of it (wire.md O4, O6).

use std::collections::BTreeSet;

use wharf::copy::RootContent;
use wharf::place::{OpenedSource, Place};
use wharf::store::Store;
use wharf::{Error, ErrorKind, Result, Side};
use wharf_oci::Reference;

use crate::args::Tag;
use crate::context::Context;
use crate::units::short;

/// Puts the manifest's own bytes under each tag; standard output stays empty.
///
/// # Errors
/// Where IMAGE makes no sense or is not there; where a tag cannot be put.
pub(crate) async fn run(args: &Tag, context: &Context) -> Result<()> {
    let invalid =
        |error: wharf_oci::ReferenceError| Error::new(ErrorKind::Invalid, error.to_string());
    let reference: Reference = args.image.parse().map_err(invalid)?;
    let client = context.client()?;
    let repository = client.repository(reference.repository());
    let (place, options) = (Place::Registry(reference), context.place_options());
    let chosen = OpenedSource::open(&place, &client, &context.retry, &options).await?;
    let RootContent::Manifest(descriptor) = &chosen.content else {
        let message = "a registry gave an image that is not made yet";
        return Err(Error::new(ErrorKind::Invalid, message).target(&args.image));
    };
    let fetch = async || chosen.source.manifest(descriptor).await;
    let manifest = context.retry.run(fetch).await;
    let manifest = manifest.map_err(|error| error.side(Side::Source))?;
    let tags: BTreeSet<_> = args.tags.iter().cloned().collect();
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
