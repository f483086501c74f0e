//! `wharf copy SRC DST`: from anywhere to a registry or a layout directory.

use wharf::Result;

use crate::args::Copy;
use crate::context::Context;
use crate::destination::{self, Destination};
use crate::location::Location;
use crate::platform;
use crate::source::Chosen;
use crate::transfer::Transfer;

/// Copies; standard output stays empty.
///
/// # Errors
/// Where a location makes no sense, cannot be opened, or the copy fails.
pub(crate) async fn run(args: &Copy, context: &Context) -> Result<()> {
    let source = Location::parse(&args.source)?;
    let destination = Location::parse(&args.destination)?;
    destination::check(&destination)?;
    // One client for both sides: what one repository has, the other may mount.
    let client = context.client()?;
    let chosen = Chosen::open(&source, &client, context).await?;
    let chosen = platform::pick(chosen, &context.platform, &context.retry).await?;
    let destination = Destination::open(&destination, &chosen, &client)?;
    let transfer = Transfer {
        chosen: &chosen,
        destination: &destination,
        moving: &args.moving,
        verb: "copied",
    };
    transfer.run(context).await?;
    Ok(())
}
