//! `wharf index filter REF --platform P…`: an index with the manifests of some platforms.

use wharf::Result;
use wharf::place::OpenedSource;
use wharf_oci::Platform;

use crate::arguments::Anywhere;
use crate::command::{OnSignal, Run};
use crate::context::Context;
use crate::flags::{Global, PlatformWord, ResultTo};

/// Keep only the manifests of an index for some platforms
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Filter {
    /// Index in a registry, layout or archive; ./DIR is the index.json of a layout
    #[arg(value_name = "INDEX")]
    index: Anywhere,
    /// Destination of the result; without it, INDEX
    #[arg(short, long, value_name = "REF")]
    tag: Option<Anywhere>,
    /// Use only the image for this platform of an index, OS/ARCH[/VARIANT][:OSVERSION], or `all`
    // The flag of all commands, which here is also satisfied with the operating system alone.
    #[arg(id = "platform", long, value_name = "PLATFORM", value_delimiter = ',')]
    #[arg(help_heading = Global::HEADING, display_order = 0)]
    #[arg(value_parser = PlatformWord::parse_partly)]
    platforms: Vec<PlatformWord>,
}

const HELP: &str = "\
Keeps the manifests for any --platform, a list that may also be repeated. Parts that are left out
match anything: linux, linux/arm (all variants), windows/amd64:10.0.20348.2. What stays is not
changed. Manifests without a platform go, as do attestations; without --platform all go. An index
with nothing to leave out keeps its digest. Prints the reference of the index with its digest.

Examples:
  wharf index filter --platform linux/amd64,linux/arm64 alpine:3 -t registry.example/alpine:3
  wharf index filter --platform linux registry.example/app:1";

impl Run for Filter {
    fn on_signal(&self) -> OnSignal {
        OnSignal::Pause
    }

    async fn run(self, context: &Context) -> Result<()> {
        let wharf = context.wharf()?;
        let words = self.platforms.iter().map(|word| match word {
            PlatformWord::All => Platform::default(),
            PlatformWord::Of(platform) => Platform::clone(platform),
        });
        let wanted: Vec<Platform> = words.collect();
        let opened = wharf.index(&self.index.place).await?;
        let result = OpenedSource::from(opened.changed().keep(&wanted));
        ResultTo::tagged(self.tag)
            .land(context, &wharf, &result, Some(&self.index))
            .await
    }
}
