//! `wharf inspect IMAGE`: what a place names, for people and for programs.

use serde::Serialize;
use wharf::Result;
use wharf::front::Inspection;

use crate::arguments::Anywhere;
use crate::command::{OnSignal, Run};
use crate::context::Context;
use crate::flags::Format;
use crate::inspection;

/// Describe an image, an index or an artifact
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Inspect {
    /// Image in a registry, layout or archive; - for an archive on standard input
    image: Anywhere,
    /// How to print it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

const HELP: &str = "\
Shows digest, kind and size, the platforms of an index, layers with their sizes, how the image is
run, annotations, and what refers to it. Reads no layer. Of an index --platform shows one image.

Examples:
  wharf inspect alpine:3
  wharf inspect --platform linux/arm64 --format json alpine:3 | jq .image.env";

/// The JSON of an inspection.
#[derive(Serialize)]
struct Document<'a> {
    reference: &'a str,
    #[serde(flatten)]
    about: &'a Inspection,
}

impl Run for Inspect {
    fn on_signal(&self) -> OnSignal {
        OnSignal::Abandon
    }

    /// Prints the description and nothing else.
    async fn run(self, context: &Context) -> Result<()> {
        let wharf = context.wharf()?;
        let opened = context.read(&wharf, &self.image).await?;
        let about = wharf.inspect(&opened).await?;
        let reference = self.image.typed.as_str();
        match self.format {
            Format::Text => {
                let lines = inspection::lines(reference, &about);
                context.printer.lines(lines.into_iter())
            }
            Format::Json => {
                if let Some(error) = &about.unlisted {
                    context
                        .printer
                        .say(&format!("referrers are not listed: {error}"));
                }
                let about = &about;
                context.printer.json(&Document { reference, about })
            }
        }
    }
}
