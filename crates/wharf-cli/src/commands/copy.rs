//! `wharf copy SRC DST`: from anywhere to a registry or a layout directory.

use std::path::Path;

use wharf::{Error, Result};

use crate::args::Copy;
use crate::context::Context;
use crate::destination::{self, Access, Destination};
use crate::location::Location;
use crate::source::Chosen;
use crate::transfer::Transfer;
use crate::{platform, stats};

/// Copies; standard output stays empty.
///
/// # Errors
/// Where a location makes no sense, cannot be opened, or the copy fails.
pub(crate) async fn run(args: &Copy, context: &Context) -> Result<()> {
    let source = Location::parse(&args.source).map_err(|error| hinted(error, &args.source))?;
    let destination = Location::parse(&args.destination)?;
    destination::check(&destination)?;
    // One client for both sides: what one repository has, the other may mount.
    let client = context.client()?;
    let chosen = Chosen::open(&source, &client, context).await;
    let chosen = match &source {
        Location::Registry(_) => chosen.map_err(|error| hinted(error, &args.source))?,
        Location::Local(_) => chosen?,
    };
    let chosen = platform::pick(chosen, &context.platform, &context.retry).await?;
    let access = match args.moving.dry_run {
        true => Access::Ask,
        false => Access::Write,
    };
    let destination = Destination::open(&destination, &chosen, &client, access)?;
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
