//! `wharf auth logout HOST`.

use wharf::Result;
use wharf::credentials::Credentials;

use crate::arguments::Host;
use crate::command::Run;
use crate::context::Context;

/// Remove the credentials of a registry
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Logout {
    /// Registry, such as ghcr.io or localhost:5000
    host: Host,
}

const HELP: &str = "\
Example:
  wharf auth logout ghcr.io";

impl Run for Logout {
    /// Removes them, and says where others remain.
    async fn run(self, context: &Context) -> Result<()> {
        let (Host(registry), say) = (self.host, |line: &str| context.printer.say(line));
        let file = context.logins.first()?;
        let forgotten = file.forget(&registry).await?;
        let place = &forgotten.place;
        say(&match forgotten.known {
            true => format!("logged out via {place}"),
            false => format!("there were no credentials for {registry} in {place}"),
        });
        if !forgotten.below.is_empty() {
            let (file, below) = (file.path().display(), forgotten.below.join(", "));
            say(&format!("{file} still has credentials for {below}"));
        }
        // Places that cannot be read are reported as such.
        let left = context.logins.credentials()?.find(&registry, None).await;
        if let Ok(Some(left)) = left {
            let place = left.source;
            say(&format!("there are still credentials for it in {place}"));
        }
        Ok(())
    }
}
