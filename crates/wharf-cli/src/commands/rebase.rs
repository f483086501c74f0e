//! `wharf rebase REF`: an image upon another version of its base.

use wharf::front::Bases;
use wharf::image::Edited;
use wharf::{Error, ErrorKind, Result};

use crate::arguments::Anywhere;
use crate::command::{OnSignal, Run};
use crate::context::Context;
use crate::flags::{Effect, ResultTo};

/// Put an image upon another version of its base image
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Rebase {
    /// Image to rebase, in a registry, layout or archive
    #[arg(value_name = "REF")]
    image: Anywhere,
    /// Base image that it has now
    #[arg(long, alias = "old_base", value_name = "REF")]
    old_base: Option<Anywhere>,
    /// Base image that it gets
    #[arg(long, alias = "new_base", value_name = "REF")]
    new_base: Option<Anywhere>,
    #[command(flatten)]
    to: ResultTo,
}

const HELP: &str = "\
The layers of the old base are replaced by those of the new one; no layer is downloaded. Bases that
are not given are those that the annotations org.opencontainers.image.base.name and .digest name; the
result has new ones. The result replaces REF's tag, unless -t, --repo or -o say otherwise.

Examples:
  wharf rebase registry.example/app:1 --old-base debian:12.1 --new-base debian:12.2
  wharf rebase registry.example/app:1 -t registry.example/app:1-patched";

impl Run for Rebase {
    fn effect(&self) -> Effect {
        Effect::Lasting
    }

    fn on_signal(&self) -> OnSignal {
        OnSignal::Pause
    }

    /// Rebases, and prints the reference of the result.
    async fn run(self, context: &Context) -> Result<()> {
        let wharf = context.wharf()?;
        let opened = wharf.read(&self.image.place).await?;
        let Edited::Image(image) = wharf.edit(&opened).await? else {
            let message = "an index of several images; choose one with --platform";
            let error = Error::new(ErrorKind::Invalid, message);
            return Err(error.target(&self.image.typed));
        };
        let old = self.old_base.as_ref().map(|old| old.place.clone());
        let new = self.new_base.as_ref();
        let new = new.map(|new| (new.place.clone(), new.typed.clone()));
        let named = |error: Error| error.target(&self.image.typed);
        let bases = Bases::of(&image, old, new).map_err(named)?;
        let rebased = wharf.rebase(image, &bases).await?;
        let result = opened.changed_to(Edited::Image(rebased));
        let over = Some(&self.image);
        self.to.land(context, &wharf, &result, over).await
    }
}
