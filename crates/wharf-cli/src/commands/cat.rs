//! `wharf cat IMAGE PATH`: one file out of an image.

use std::ffi::OsString;

use wharf::Result;

use crate::arguments::Anywhere;
use crate::command::{OnSignal, Run};
use crate::context::Context;
use crate::output::Target;

/// Write one file out of an image to standard output
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Cat {
    /// Image in a registry, layout or archive; - for an archive on standard input
    image: Anywhere,
    /// Path of the file in the image
    path: OsString,
}

const HELP: &str = "\
The file is the one that a container would see. Links are followed within the image. Layers are read
from the top, and no more of them than are needed. Of an index it is the image for --platform, else
that for linux/amd64.

Example:
  wharf cat alpine:3 /etc/os-release";

impl Run for Cat {
    fn on_signal(&self) -> OnSignal {
        OnSignal::Abandon
    }

    /// Writes the content and nothing else.
    async fn run(self, context: &Context) -> Result<()> {
        let wharf = context.wharf()?;
        let image = wharf.read(&self.image.place).await?;
        let file = wharf.file(&image, self.path.as_encoded_bytes()).await?;
        Target::Stdout.write(file.into_stream()).await
    }
}
