//! `wharf copy SRC DST`: from anywhere to a registry, a layout directory or an archive.

use wharf::copy::Clobber;
use wharf::place::{
    Access, Form, LocalPlace, OpenedSource, OpenedStore, PathOrStdin, Place, PlatformChoice,
};
use wharf::{Error, ErrorKind, Result, RootContent, Side, Wharf};
use wharf_oci::Platform;

use crate::arguments::{Anywhere, Unreadable, hinted};
use crate::command::{OnSignal, Run};
use crate::context::Context;
use crate::copy_tags::{self, Beside};
use crate::flags::{self, Effect, Moving};
use crate::output::{self, Target};
use crate::transfer::Transfer;
use crate::{failures, stats};

/// Copy an image between registries and files
#[derive(Debug, clap::Args)]
#[command(visible_alias = "cp", after_help = HELP)]
pub(crate) struct Copy {
    /// Source
    #[arg(value_name = "SRC", value_parser = source)]
    source: Anywhere,
    /// Destination: a registry reference, oci:DIR, oci-archive:FILE, docker-archive:FILE, or -
    #[arg(value_name = "DST")]
    destination: Anywhere,
    /// Copy all tags of the repository SRC to the repository DST, -j tags at once
    #[arg(short, long, conflicts_with = "dry_run")]
    all_tags: bool,
    /// Overwrite no tag: one that is there is an error, and left as it is with --all-tags
    #[arg(short, long)]
    no_clobber: bool,
    /// Also copy what refers to it: signatures, SBOMs, attestations
    #[arg(long, conflicts_with = "dry_run")]
    referrers: bool,
    /// With --platform: copy the same index, and of its children only those for these platforms
    #[arg(long, conflicts_with = "all_tags")]
    sparse: bool,
    #[command(flatten)]
    moving: Moving,
}

const HELP: &str = "\
SRC and DST are each one of:
  REGISTRY/REPOSITORY[:TAG][@DIGEST]   an image in a registry
  oci:DIR[:TAG|@DIGEST]                an OCI image layout directory
  oci-archive:FILE[:TAG|@DIGEST]       a tar of one
  docker-archive:FILE[:NAME[:TAG]|@DIGEST]
                                       what `docker save` writes
  -                                    an archive on standard input; a docker archive on standard
                                       output, as docker-archive:-
A registry as DST without a tag means `latest`; a directory or an OCI archive without a tag gets the
tag of SRC, a docker archive without a name all names of SRC.

A FILE is replaced when the archive is whole. A docker archive holds one image: of an index that for
--platform, else for linux/amd64. Its layers with zstd become gzip, which every version of Docker reads.

Several --platform make a smaller index with a digest of its own, which is printed on standard
error. With --sparse the index stays as it is, and some children are missing: few registries take
that, and a later copy takes it for whole, unless it has --force.

With --all-tags each tag fails or succeeds on its own, and all errors are printed. --referrers
copies the manifests that SRC lists as referrers, and those under tags sha256-….sig, .att and
.sbom, also of what is below an index and of each other.

Examples:
  wharf copy registry.example/app:1 oci:app
  wharf copy registry.example/app:1 docker-archive:app.tar
  wharf copy registry.example/app:1 - | docker load
  wharf copy --platform linux/arm64 alpine:3 localhost:5000/alpine
  wharf copy --platform linux/amd64,linux/arm64 alpine:3 localhost:5000/alpine
  wharf copy --all-tags --referrers registry.example/app mirror.example/app
  wharf copy --limit-rate 5M registry.example/big:1 oci:big";

impl Run for Copy {
    fn effect(&self) -> Effect {
        self.moving.effect()
    }

    fn on_signal(&self) -> OnSignal {
        match self.moving.effect() {
            Effect::Lasting => OnSignal::Pause,
            Effect::None => OnSignal::Abandon,
        }
    }

    /// Copies; standard output stays empty.
    async fn run(self, context: &Context) -> Result<()> {
        // One client for both sides, so that one repository can mount blobs of the other.
        let wharf = self.front(context)?;
        let copied = match self.all_tags {
            true => {
                let (from, to) = (self.source.repository()?, self.destination.repository()?);
                copy_tags::copy(&wharf, (&from, &to), self.beside(), context).await
            }
            false => self.one(&wharf, context).await,
        };
        stats::say(&context.printer, &self.moving, wharf.client());
        copied
    }
}

impl Copy {
    /// Whether the destination can have what is asked for.
    ///
    /// # Errors
    /// One line for the user.
    fn check(&self) -> Result<()> {
        let to = &self.destination.place;
        OpenedStore::check(to)?;
        if is_stream(to) {
            Target::Stdout.unless_terminal("an archive")?;
        }
        let is_archive = matches!(to, Place::Local(local) if local.form != Form::Layout);
        if self.referrers && is_archive {
            let message = "an archive holds no referrers: copy to a registry or to oci:DIR";
            return Err(Error::new(ErrorKind::Unsupported, message).target(&self.destination.typed));
        }
        Ok(())
    }

    fn beside(&self) -> Beside {
        match self.referrers {
            true => Beside::Referrers,
            false => Beside::Nothing,
        }
    }

    /// The platforms of a part of an index; none if the whole of it, or one image, is copied.
    fn platforms(&self, context: &Context) -> Result<Vec<Platform>> {
        let platforms = flags::several(context.flags.platforms());
        match (self.sparse, platforms.len()) {
            (true, 0) => {
                let message = "--sparse needs the platforms to copy: --platform";
                Err(Error::new(ErrorKind::Invalid, message))
            }
            (false, 0 | 1) => Ok(Vec::new()),
            _ => Ok(platforms),
        }
    }

    fn front(&self, context: &Context) -> Result<Wharf> {
        let wharf = context.wharf_for(&self.moving)?;
        let mut options = wharf.options().clone();
        if self.no_clobber {
            options.copy.clobber = Clobber::Refuse;
        }
        if !self.platforms(context)?.is_empty() {
            // A part is made of the whole.
            options.places.platform = PlatformChoice::All;
        }
        Ok(Wharf::with_options(wharf.client().clone(), options))
    }

    /// Copies one image or index.
    async fn one(&self, wharf: &Wharf, context: &Context) -> Result<()> {
        let to = &self.destination.place;
        self.check()?;
        let source = self.open(wharf, context).await?;
        let (wharf, source) = self.part(wharf, source, context).await?;
        let effect = self.moving.effect();
        let access = match effect {
            Effect::None => Access::Ask,
            Effect::Lasting => Access::Write,
        };
        let destination = wharf.destination(to, &source, access).await?;
        let transfer = Transfer {
            wharf: &wharf,
            source: &source,
            effect,
            printer: &context.printer,
            standing: &context.standing,
        };
        if let Place::Registry(reference) = to {
            let to = std::slice::from_ref(reference);
            transfer.offer_own_tag(std::slice::from_ref(&destination), to);
        }
        let root = output::unless_unread(transfer.run(&destination).await);
        let root = root.map_err(|error| self.refused(error))?;
        let (Some(root), Beside::Referrers) = (root, self.beside()) else {
            return Ok(());
        };
        let (source, store) = (source.source.as_ref(), destination.store.as_ref());
        let copied = wharf.copy_referrers(source, store, &[root]).await;
        let failed = copy_tags::tell(&destination.name, copied, context);
        failures::all(&context.printer, failed)
    }

    async fn open(&self, wharf: &Wharf, context: &Context) -> Result<OpenedSource> {
        let from = &self.source.place;
        if is_stream(from) {
            context.reads_input("an archive");
        }
        let opened = wharf.open(from).await;
        opened.map_err(|error| self.source.hinted(error))
    }

    /// The part of the source for several platforms, and how to copy it.
    async fn part(
        &self,
        wharf: &Wharf,
        source: OpenedSource,
        context: &Context,
    ) -> Result<(Wharf, OpenedSource)> {
        let whole = wharf.clone();
        let platforms = self.platforms(context)?;
        if platforms.is_empty() {
            return Ok((whole, source));
        }
        let Some(part) = wharf.part(&source, &platforms).await? else {
            return Ok((whole, source));
        };
        let number = format!("{} of {} manifests", part.kept, part.of);
        let say = |line: String| context.printer.say(&line);
        if self.sparse {
            let mut options = wharf.options().clone();
            options.copy.left_out = part.left_out;
            say(format!("the index stays as it is, with {number}"));
            return Ok((Wharf::with_options(whole.client().clone(), options), source));
        }
        if let RootContent::Manifest(root) = &part.smaller.content {
            say(format!("an index with {number}: {}", root.digest));
        }
        Ok((whole, part.smaller))
    }

    /// Names the way out where a registry takes no index without all its children.
    fn refused(&self, error: Error) -> Error {
        let said = matches!(error.kind(), ErrorKind::Rejected | ErrorKind::NotFound);
        if !self.sparse || !said || error.failed_side() != Some(Side::Destination) {
            return error;
        }
        let message = format!(
            "{error}; this registry may take no index without all its children: without --sparse \
             a smaller index is made"
        );
        Error::new(error.kind(), message)
    }
}

/// Standard input or output.
fn is_stream(place: &Place) -> bool {
    matches!(place, Place::Local(LocalPlace { at, .. }) if *at == PathOrStdin::Stdin)
}

fn source(text: &str) -> Result<Anywhere, Unreadable> {
    let place: Result<Anywhere, Unreadable> = text.parse();
    place.map_err(|Unreadable(error)| hinted(error, text).into())
}
