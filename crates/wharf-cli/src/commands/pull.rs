//! `wharf pull IMAGE… PATH`: images into one archive or layout.

use std::path::PathBuf;

use clap::ValueEnum;
use wharf::Result;
use wharf::place::{Access, PathOrStdin, PullFile, PullForm, RefNames, Wanted};

use crate::arguments::Anywhere;
use crate::command::{OnSignal, Run};
use crate::context::Context;
use crate::flags::{Effect, Moving};
use crate::output::{self, Target};
use crate::stats;
use crate::transfer::Transfer;

/// Pull images into an archive or a layout directory
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Pull {
    /// Images, in registries or any other place
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<Anywhere>,
    /// File or directory to write; - for an archive on standard output
    path: PathBuf,
    /// What to write
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "tarball")]
    format: Format,
    /// Directory in which layers are kept, and from which they are taken
    #[arg(short, long = "cache_path", alias = "cache-path", value_name = "DIR")]
    cache_path: Option<PathBuf>,
    /// Name images in a layout by their full references
    #[arg(long)]
    annotate_ref: bool,
    #[command(flatten)]
    moving: Moving,
}

/// What images are written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// An archive that `docker load` and `podman load` read
    Tarball,
    /// The same with unpacked layers, as Docker before 1.10 wrote it
    Legacy,
    /// An OCI image layout directory, made or added to
    Oci,
}

const HELP: &str = "\
An archive has one image of an index: that for --platform, else for linux/amd64. Its layers with zstd
become gzip, which every version of Docker reads. It is called as IMAGE is written here, by digest with
the tag i-was-a-digest. The file is replaced when the archive is whole.

A layout gets whole indexes, unless --platform is given, and keeps what it has.

Examples:
  wharf pull registry.example/app:1 registry.example/db:2 images.tar
  wharf pull alpine:3 - | docker load
  wharf pull --format oci --annotate-ref registry.example/app:1 layout";

impl Run for Pull {
    fn effect(&self) -> Effect {
        self.moving.effect()
    }

    fn on_signal(&self) -> OnSignal {
        OnSignal::Abandon
    }

    /// Pulls; standard output has the archive, if it is to be there, and nothing else.
    async fn run(self, context: &Context) -> Result<()> {
        let at = match self.path.as_os_str() == "-" {
            true => PathOrStdin::Stdin,
            false => PathOrStdin::Path(self.path.clone()),
        };
        if at == PathOrStdin::Stdin {
            Target::Stdout.unless_terminal("an archive")?;
        }
        output::unless_unread(self.pull(&at, context).await)
    }
}

impl Pull {
    async fn pull(&self, at: &PathOrStdin, context: &Context) -> Result<()> {
        let wharf = context.wharf_for(&self.moving)?;
        let effect = self.moving.effect();
        let access = match effect {
            Effect::None => Access::Ask,
            Effect::Lasting => Access::Write,
        };
        let form = self.form();
        let file = PullFile::create(at, form, &wharf.options().places, access).await?;
        for image in &self.images {
            let wanted = Wanted {
                place: image.place.clone(),
                typed: image.typed.clone(),
            };
            let cache = self.cache_path.as_deref();
            let (source, store) = wharf.open_pull(&wanted, &file, cache).await?;
            let transfer = Transfer {
                wharf: &wharf,
                source: &source,
                effect,
                printer: &context.printer,
                standing: &context.standing,
            };
            if let Some(pulled) = transfer.run(&store).await? {
                file.received(&wanted, &pulled).await?;
            }
        }
        file.finish().await?;
        stats::say(&context.printer, &self.moving, wharf.client());
        Ok(())
    }

    fn form(&self) -> PullForm {
        match (self.format, self.annotate_ref) {
            (Format::Tarball, _) => PullForm::Docker,
            (Format::Legacy, _) => PullForm::Legacy,
            (Format::Oci, false) => PullForm::Layout(RefNames::None),
            (Format::Oci, true) => PullForm::Layout(RefNames::Full),
        }
    }
}
