//! `wharf export IMAGE [FILE]`: the file system of an image as one tar.

use std::path::PathBuf;

use wharf::Result;

use crate::arguments::Anywhere;
use crate::command::{OnSignal, Run};
use crate::context::Context;
use crate::flags::Effect;
use crate::output::Target;

/// Write the file system of an image as a tar
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Export {
    /// Image in a registry, layout or archive; - for an archive on standard input
    image: Anywhere,
    /// Output; without it, or with -, standard output
    #[arg(value_name = "FILE")]
    to: Option<PathBuf>,
}

const HELP: &str = "\
The layers are merged as a container would see them: whiteouts are applied, and each path is there
once. Links, owners, modes, times, devices and extended attributes stay as they are. Of an index it
is the image for --platform, else that for linux/amd64. FILE is replaced only when the tar is whole.

Examples:
  wharf export alpine:3 - | tar -tv
  docker save app | wharf export - app.tar";

impl Run for Export {
    fn effect(&self) -> Effect {
        Effect::Lasting
    }

    fn on_signal(&self) -> OnSignal {
        OnSignal::Abandon
    }

    /// Writes the tar and nothing else.
    async fn run(self, context: &Context) -> Result<()> {
        let to = Target::of(self.to).unless_terminal("a tar")?;
        let wharf = context.wharf()?;
        let image = wharf.read(&self.image.place).await?;
        to.write(wharf.export(&image).await?).await
    }
}
