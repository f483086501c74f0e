//! `wharf files IMAGE [PATH]`: the files of an image.

use std::ffi::OsString;

use clap::ValueEnum;
use futures::{StreamExt, stream};
use wharf::Result;

use crate::arguments::Anywhere;
use crate::command::{OnSignal, Run};
use crate::context::Context;
use crate::file_lines::{Style, lines};
use crate::output::Target;

/// List the files of an image
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Files {
    /// Image in a registry, layout or archive; - for an archive on standard input
    image: Anywhere,
    /// Path in the image to list, with all below it; without it, everything
    path: Option<OsString>,
    /// Also show mode, owner and group, size, time, and where links lead
    #[arg(short, long)]
    long: bool,
    /// Print lines for people, or a JSON object per line
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

/// The form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    // Doc comments here would double the lines of the help.
    Text,
    Json,
}

const HELP: &str = "\
The files are those that a container would see, a path per line, sorted. Names are printed byte for
byte. Of an index it is the image for --platform, else that for linux/amd64.

Examples:
  wharf files -l alpine:3 /etc
  wharf files --format json oci:app | jq 'select(.size > 1000000)'";

impl Run for Files {
    fn on_signal(&self) -> OnSignal {
        OnSignal::Abandon
    }

    /// Prints the lines.
    async fn run(self, context: &Context) -> Result<()> {
        let style = match (self.format, self.long) {
            (Format::Json, _) => Style::Json,
            (Format::Text, true) => Style::Long,
            (Format::Text, false) => Style::Short,
        };
        let wharf = context.wharf()?;
        let image = wharf.read(&self.image.place).await?;
        let path = self.path.unwrap_or_default();
        let files = wharf.files(&image, path.as_encoded_bytes()).await?;
        let lines = lines(files, style).map(Ok);
        Target::Stdout.write(stream::iter(lines).boxed()).await
    }
}
