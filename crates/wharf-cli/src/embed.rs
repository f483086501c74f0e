//! `wharf push PATH` without REF: pushes into the registry inside this process.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use wharf::Result;
use wharf::place::{Access, OpenedStore, PathOrStdin, Place};
use wharf::store::Memory;
use wharf_oci::{Reference, Repository};

use crate::context::Context;
use crate::flags::Effect;
use crate::transfer::Transfer;
use crate::{embedded, env, listing, notices};

/// Pushes under the name that `wharf registry serve` will have. Returns the reference with its
/// digest; a dry run has none.
///
/// # Errors
/// If the data directory cannot be used, or the push fails.
pub(crate) async fn push(
    transfer: &Transfer<'_>,
    at: &PathOrStdin,
    context: &Context,
) -> Result<Vec<String>> {
    let (wharf, source) = (transfer.wharf, transfer.source);
    let directory = env::registry_directory()?;
    let name = source.repository_name(at);
    let served = format!("{}/{name}", embedded::SERVED);
    let tags = source.tags_named(&name);
    if is_unused(&directory) {
        // No registry is made for an image that cannot be pushed.
        let nothing = Arc::new(Memory::new());
        let empty = OpenedStore::new(nothing, served.as_str(), tags.clone());
        if transfer.effect == Effect::None {
            transfer.run(&empty).await?;
            return Ok(Vec::new());
        }
        wharf.plan_write(source, &empty).await?;
    }
    let (address, running) = embedded::start(&directory).await?;
    context.keep_running(running);
    let repository = Repository::new(embedded::registry(address), name.clone())?;
    let place = Place::Registry(Reference::new(repository, None, None));
    let mut destination = wharf.destination(&place, source, Access::Write).await?;
    destination.name.clone_from(&served);
    destination.tags = tags;
    notices::other_names(&context.printer, &source.names_beside_named(&name));
    let Some(root) = transfer.run(&destination).await? else {
        return Ok(Vec::new());
    };
    let lines = listing::lines(destination.store.as_ref(), &root).await?;
    let pushed = format!("{served}@{}", root.digest);
    context.printer.data(&pushed)?;
    let tag = destination.tags.first().map(ToString::to_string);
    let tagged = format!("{served}:{}", tag.unwrap_or_default());
    let listing = [tagged.clone()].into_iter().chain(lines);
    for line in listing.chain(how_to_pull(&tagged, name.as_str())) {
        context.printer.say(&line);
    }
    Ok(vec![pushed])
}

fn is_unused(directory: &Path) -> bool {
    match fs::read_dir(directory) {
        Ok(mut files) => files.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

fn how_to_pull(tagged: &str, name: &str) -> [String; 3] {
    let directory = name.rsplit('/').next().unwrap_or(name);
    let program = env::program();
    [
        format!("to serve it:  {program} registry serve"),
        format!("to pull it:   {program} copy {tagged} oci:{directory}"),
        format!("              docker pull {tagged}"),
    ]
}
