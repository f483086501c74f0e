//! `wharf registry serve`: the embedded registry as a server.

use wharf::Result;

use crate::args::Serve;
use crate::commands::Ended;
use crate::context::{self, Context};
use crate::embedded;
use crate::signals;

/// Serves until a signal comes, which is the proper end of it.
///
/// # Errors
/// Where the directory or the address cannot be used.
pub(crate) async fn serve(args: &Serve, context: &Context) -> Result<Ended> {
    let directory = match &args.disk {
        Some(directory) => directory.clone(),
        None => context::registry_directory()?,
    };
    let server = embedded::bind(args.address, &directory).await?;
    let address = server.local_addr();
    context.printer.say(&format!(
        "serving {} on http://{address}",
        directory.display()
    ));
    let shutdown = async {
        // Without signals there is nothing to wait for: serve for ever.
        if signals::first().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    server.run(shutdown).await?;
    Ok(Ended::Done)
}
