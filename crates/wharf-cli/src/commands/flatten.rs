//! `wharf flatten REF`: one layer in the place of all, for an image or each image of an index.

use wharf::place::PlatformChoice;
use wharf::{Options, Result, Wharf};

use crate::arguments::Anywhere;
use crate::command::{OnSignal, Run};
use crate::context::Context;
use crate::env;
use crate::flags::ResultTo;

/// Make one layer of all layers of an image
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Flatten {
    /// Image or index in a registry, layout or archive
    #[arg(value_name = "REF")]
    image: Anywhere,
    #[command(flatten)]
    to: ResultTo,
}

const HELP: &str = "\
The layer has the files that a container would see, as `wharf export` writes them. The history becomes
one entry, with that of before as its comment; everything else stays, the kind of the image and its
annotations too. Of an index each image is flattened, whatever --platform says, and what builders
attest about the images of before is left out; with -o it is the image for --platform. The time is
that of SOURCE_DATE_EPOCH, if it is set. The result replaces REF's tag, unless -t, --repo or -o say
otherwise; it is printed with its digest.

Example:
  wharf flatten registry.example/app:1 -t registry.example/app:flat";

impl Run for Flatten {
    fn on_signal(&self) -> OnSignal {
        OnSignal::Pause
    }

    /// Flattens, and prints the reference of the result.
    async fn run(self, context: &Context) -> Result<()> {
        let created = wharf_oci::rfc3339(env::now()?);
        let wharf = match self.to.is_archive() {
            true => context.wharf()?,
            false => for_all(&context.wharf()?),
        };
        let opened = wharf.read(&self.image.place).await?;
        let edited = self.to.edit(&wharf, &opened).await?;
        let result = opened.changed_to(wharf.flatten(edited, &created)?);
        let over = Some(&self.image);
        self.to.land(context, &wharf, &result, over).await
    }
}

/// The same front door for all platforms.
fn for_all(wharf: &Wharf) -> Wharf {
    let mut options: Options = wharf.options().clone();
    options.places.platform = PlatformChoice::All;
    Wharf::with_options(wharf.client().clone(), options)
}
