//! `wharf config IMAGE`: the exact bytes of a config.

use wharf::Result;

use crate::arguments::Anywhere;
use crate::command::{OnSignal, Run};
use crate::context::Context;

/// Print the config of an image
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Config {
    /// Image in a registry, layout or archive; - for an archive on standard input
    image: Anywhere,
}

const HELP: &str = "\
Prints the exact bytes, without a newline after them. Of an index it is the config of the image for
--platform, else of that for linux/amd64.

Example:
  wharf config alpine:3 | jq .config.Env";

impl Run for Config {
    fn on_signal(&self) -> OnSignal {
        OnSignal::Abandon
    }

    /// Prints the config and nothing else.
    async fn run(self, context: &Context) -> Result<()> {
        let wharf = context.wharf()?;
        let opened = context.read(&wharf, &self.image).await?;
        context
            .printer
            .bytes(&wharf.config_in(&opened).await?.bytes)
    }
}
