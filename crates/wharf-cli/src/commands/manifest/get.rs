//! `wharf manifest IMAGE`: the exact bytes of a manifest.

use wharf::Result;

use super::Work;
use crate::arguments::{Anywhere, only_one};
use crate::command::{OnSignal, Run};
use crate::context::Context;
use crate::flags::Effect;

/// Print the manifest of an image, or upload one
#[derive(Debug, clap::Args)]
#[command(subcommand_negates_reqs = true, override_usage = USAGE, after_help = HELP)]
pub(crate) struct Manifest {
    /// Image in a registry, layout or archive; - for an archive on standard input
    #[arg(required = true)]
    image: Option<Anywhere>,
    #[command(subcommand)]
    work: Option<Work>,
}

const USAGE: &str = "\
wharf manifest [OPTIONS] <IMAGE>
       wharf manifest [OPTIONS] <COMMAND>";

const HELP: &str = "\
Prints the exact bytes, without a newline after them, so that they have the digest of the manifest.
An index is printed as it is, or with --platform the manifest of its image. Of a docker archive it
is the manifest that a push of it uploads.

Examples:
  wharf manifest alpine:3
  wharf manifest --platform linux/arm64 alpine:3 | sha256sum
  wharf manifest put registry.example/app:1 manifest.json";

impl Run for Manifest {
    fn effect(&self) -> Effect {
        self.work.as_ref().map_or(Effect::Lasting, Run::effect)
    }

    fn on_signal(&self) -> OnSignal {
        self.work.as_ref().map_or(OnSignal::Abandon, Run::on_signal)
    }

    /// Prints the manifest and nothing else.
    async fn run(self, context: &Context) -> Result<()> {
        match only_one("manifest", self.image, self.work)? {
            Ok(image) => {
                let wharf = context.wharf()?;
                let opened = context.read(&wharf, &image).await?;
                context
                    .printer
                    .bytes(wharf.manifest_in(&opened).await?.bytes())
            }
            Err(work) => work.run(context).await,
        }
    }
}
