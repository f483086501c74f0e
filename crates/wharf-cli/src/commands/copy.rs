//! `wharf copy SRC DST`: from anywhere to a registry or a layout directory.

use std::path::Path;

use wharf::place::{Access, OpenedSource, OpenedStore, Place};
use wharf::{Error, Result};

use crate::args::Copy;
use crate::context::Context;
use crate::stats;
use crate::transfer::Transfer;

/// Copies; standard output stays empty.
///
/// # Errors
/// Where a location makes no sense, cannot be opened, or the copy fails.
pub(crate) async fn run(args: &Copy, context: &Context) -> Result<()> {
    let source = Place::parse(&args.source).map_err(|error| hinted(error, &args.source))?;
    let destination = Place::parse(&args.destination)?;
    OpenedStore::check(&destination)?;
    // One client for both sides: what one repository has, the other may mount.
    let client = context.client()?;
    let options = context.place_options();
    let chosen = OpenedSource::open(&source, &client, &context.retry, &options).await;
    let chosen = match &source {
        Place::Registry(_) => chosen.map_err(|error| hinted(error, &args.source))?,
        Place::Local(_) => chosen?,
    };
    let access = match args.moving.dry_run {
        true => Access::Ask,
        false => Access::Write,
    };
    let destination = OpenedStore::open(&destination, &chosen, &client, access).await?;
    let transfer = Transfer {
        chosen: &chosen,
        moving: &args.moving,
        verb: "copied",
    };
    transfer.run(&destination, context).await?;
    stats::say(context.printer, &args.moving, &client);
    Ok(())
}

/// A file of this name may be what was meant, where no such image is found.
fn hinted(error: Error, text: &str) -> Error {
    let path = Path::new(text);
    let hint = match () {
        () if path.is_dir() => format!("there is a directory of this name, oci:{text}"),
        () if path.is_file() => {
            format!("there is a file of this name, docker-archive:{text} or oci-archive:{text}")
        }
        () => return error,
    };
    Error::new(error.kind(), format!("{error}; {hint}"))
}
