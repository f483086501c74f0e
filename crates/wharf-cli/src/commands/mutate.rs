//! `wharf mutate REF`: another config and other annotations for an image, or each image of an index.

use wharf::image::{Edited, Mutation};
use wharf::{Error, ErrorKind, Result};
use wharf_oci::Platform;

use crate::arguments::Anywhere;
use crate::command::{OnSignal, Run};
use crate::context::Context;
use crate::flags::{Changes, Effect, List, NewLayers, ResultTo};
use crate::units;

/// Change the config, the annotations and the layers of an image
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Mutate {
    /// Image or index in a registry, layout or archive
    #[arg(value_name = "REF")]
    image: Anywhere,
    #[command(flatten)]
    to: ResultTo,
    #[command(flatten)]
    changes: Changes,
    /// Set the platform in the config: OS/ARCH[/VARIANT][:OSVERSION]
    #[arg(long, value_name = "PLATFORM")]
    set_platform: Option<Platform>,
    /// Set when the image was made: 2026-01-31T12:00:00Z, or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = units::moment)]
    created: Option<String>,
    /// Add layers on top: tar files, also compressed with gzip or zstd
    #[arg(long, value_name = "FILE,…", allow_hyphen_values = true)]
    append: Vec<List>,
}

const HELP: &str = "\
What is not named stays as it is, fields that wharf does not know included. Of an index each image is
changed, unless --platform names one. The result replaces REF's tag, unless -t, --repo or -o say
otherwise; it is printed with its digest. Only the config and the manifest are uploaded.

Examples:
  wharf mutate registry.example/app:1 -l version=1.2 -t registry.example/app:1.2
  wharf mutate registry.example/app:1 --entrypoint-json '[\"sh\",\"-c\",\"a,b\"]' --unset-env DEBUG";

impl Run for Mutate {
    fn effect(&self) -> Effect {
        Effect::Lasting
    }

    fn on_signal(&self) -> OnSignal {
        OnSignal::Pause
    }

    /// Changes the image, and prints the reference of the result.
    async fn run(self, context: &Context) -> Result<()> {
        let wharf = context.wharf()?;
        let opened = wharf.read(&self.image.place).await?;
        let edited = self.to.edit(&wharf, &opened).await?;
        let mutation = Mutation {
            platform: self.set_platform.clone(),
            created: self.created.clone(),
            ..self.changes.mutation()
        };
        self.check(&edited)?;
        let files = List::all(self.append.clone());
        let layers = NewLayers::open(&files, context).await?;
        let edited = edited.map(&mut |image, _| mutation.apply(layers.on(image)?))?;
        let over = Some(&self.image);
        let landing = self.to.land_edited(context, &wharf, &opened, edited, over);
        landing.await
    }
}

impl Mutate {
    /// One platform cannot be that of all images.
    fn check(&self, edited: &Edited) -> Result<()> {
        if self.set_platform.is_some() && edited.images().len() > 1 {
            let message = "--set-platform would give all images of this index one platform; choose an image with --platform";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok(())
    }
}
