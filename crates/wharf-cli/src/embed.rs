//! `wharf push PATH` without REF: into the registry inside this process.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use wharf::Result;
use wharf::place::{OpenedSource, OpenedStore, PathOrStdin};
use wharf::remote::Client;
use wharf::store::Memory;
use wharf_oci::{Reference, Repository};

use crate::context::Context;
use crate::flags::Moving;
use crate::transfer::Transfer;
use crate::{embedded, env, listing};

/// Pushes under the name that `wharf registry serve` will have; gives the reference with its
/// digest, which a dry run has not.
///
/// # Errors
/// Where the data directory cannot be used, or the push fails.
pub(crate) async fn push(
    chosen: &OpenedSource,
    at: &PathOrStdin,
    moving: &Moving,
    client: &Client,
    context: &Context,
) -> Result<Option<String>> {
    let directory = env::registry_directory()?;
    let name = chosen.repository_name(at);
    let served = format!("{}/{name}", embedded::SERVED);
    if is_unused(&directory) {
        // A registry is not made for what cannot be pushed anyway.
        let nothing = Arc::new(Memory::new());
        let empty = OpenedStore::new(nothing, served.as_str(), vec![chosen.tag_or_latest()]);
        let transfer = transfer(chosen, moving);
        if moving.dry_run {
            transfer.run(&empty, context).await?;
            return Ok(None);
        }
        transfer.plan(&empty, context).await?;
    }
    let (address, running) = embedded::start(&directory).await?;
    context.keep_running(running);
    let repository = Repository::new(embedded::registry(address), name.clone())?;
    let reference = Reference::new(repository, None, None);
    let mut destination = OpenedStore::registry(&reference, chosen, client)?;
    destination.name.clone_from(&served);
    let root = transfer(chosen, moving).run(&destination, context).await?;
    let tag = destination.tags.first().map(ToString::to_string);
    let tag = tag.unwrap_or_default();
    let Some(root) = root else {
        return Ok(None);
    };
    let lines = listing::lines(destination.store.as_ref(), &root).await?;
    let line = format!("{served}@{}", root.digest);
    context.printer.data(&line)?;
    let listing = [format!("{served}:{tag}")].into_iter().chain(lines);
    for line in listing.chain(how_to_pull(&served, &tag, name.as_str())) {
        context.printer.say(&line);
    }
    Ok(Some(line))
}

fn transfer<'a>(chosen: &'a OpenedSource, moving: &'a Moving) -> Transfer<'a> {
    Transfer {
        chosen,
        moving,
        verb: "pushed",
    }
}

fn is_unused(directory: &Path) -> bool {
    match fs::read_dir(directory) {
        Ok(mut files) => files.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

fn how_to_pull(served: &str, tag: &str, name: &str) -> [String; 3] {
    let directory = name.rsplit('/').next().unwrap_or(name);
    [
        "to serve it:  wharf registry serve".to_owned(),
        format!("to pull it:   wharf copy {served}:{tag} oci:{directory}"),
        format!("              docker pull {served}:{tag}"),
    ]
}
