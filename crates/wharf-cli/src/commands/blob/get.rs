//! `wharf blob REPO@DIGEST`: the exact bytes of a blob.

use wharf::Result;

use super::Work;
use crate::arguments::{Anywhere, only_one};
use crate::command::{OnSignal, Run};
use crate::context::Context;
use crate::flags::Effect;
use crate::output::Target;

/// Print a blob, such as a layer, or upload one
#[derive(Debug, clap::Args)]
#[command(subcommand_negates_reqs = true, override_usage = USAGE, after_help = HELP)]
pub(crate) struct Blob {
    /// Blob: REGISTRY/REPOSITORY@DIGEST, oci:DIR@DIGEST or an archive with @DIGEST
    #[arg(value_name = "REPO@DIGEST", required = true)]
    blob: Option<Anywhere>,
    #[command(subcommand)]
    work: Option<Work>,
}

const USAGE: &str = "\
wharf blob [OPTIONS] <REPO@DIGEST>
       wharf blob [OPTIONS] <COMMAND>";

const HELP: &str = "\
Prints the exact bytes as they are stored, compressed or not. The last bytes come only if the whole
blob has its digest.

Examples:
  wharf blob registry.example/app@sha256:e3b0… > layer.tar.gz
  wharf blob push registry.example/app notes.txt";

impl Run for Blob {
    fn effect(&self) -> Effect {
        self.work.as_ref().map_or(Effect::Lasting, Run::effect)
    }

    fn on_signal(&self) -> OnSignal {
        self.work.as_ref().map_or(OnSignal::Abandon, Run::on_signal)
    }

    /// Prints the blob and nothing else.
    async fn run(self, context: &Context) -> Result<()> {
        match only_one("blob", self.blob, self.work)? {
            Ok(blob) => {
                context.reads(&blob);
                let opened = context.wharf()?.blob_at(&blob.place).await?;
                Target::of(None).write(opened.bytes).await
            }
            Err(work) => work.run(context).await,
        }
    }
}
