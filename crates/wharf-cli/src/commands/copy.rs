//! `wharf copy SRC DST`: from anywhere to a registry, a layout directory or an archive.

use std::path::Path;

use wharf::place::{Access, Form, LocalPlace, OpenedStore, PathOrStdin, Place};
use wharf::{Error, ErrorKind, Result};

use crate::arguments::{Anywhere, Unreadable};
use crate::command::{OnSignal, Run};
use crate::context::Context;
use crate::copy_tags::{self, Beside};
use crate::flags::{Effect, Moving};
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
    /// Also copy what refers to it: signatures, SBOMs, attestations
    #[arg(long, conflicts_with = "dry_run")]
    referrers: bool,
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

With --all-tags each tag fails or succeeds on its own, and all errors are printed. --referrers
copies the manifests that SRC lists as referrers, and those under tags sha256-….sig, .att and
.sbom, also of what is below an index and of each other.

Examples:
  wharf copy registry.example/app:1 oci:app
  wharf copy registry.example/app:1 docker-archive:app.tar
  wharf copy registry.example/app:1 - | docker load
  wharf copy --platform linux/arm64 alpine:3 localhost:5000/alpine
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
        let (from, to) = (&self.source.place, &self.destination.place);
        // One client for both sides, so that one repository can mount blobs of the other.
        let wharf = context.wharf_for(&self.moving)?;
        if self.all_tags {
            let (from, to) = (self.source.repository()?, self.destination.repository()?);
            let copied = copy_tags::copy(&wharf, (&from, &to), self.beside(), context).await;
            stats::say(&context.printer, &self.moving, wharf.client());
            return copied;
        }
        self.check()?;
        if is_stream(from) {
            context.reads_input("an archive");
        }
        let source = wharf.open(from).await.map_err(|error| match from {
            Place::Registry(_) => hinted(error, &self.source.typed),
            Place::Local(_) => error,
        })?;
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
        let root = output::unless_unread(transfer.run(&destination).await)?;
        let mut failed = Vec::new();
        if let (Some(root), Beside::Referrers) = (root, self.beside()) {
            let (source, store) = (source.source.as_ref(), destination.store.as_ref());
            let copied = wharf.copy_referrers(source, store, &[root]).await;
            failed = copy_tags::tell(&destination.name, copied, context);
        }
        stats::say(&context.printer, &self.moving, wharf.client());
        failures::all(&context.printer, failed)
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
}

/// Standard input or output.
fn is_stream(place: &Place) -> bool {
    matches!(place, Place::Local(LocalPlace { at, .. }) if *at == PathOrStdin::Stdin)
}

fn source(text: &str) -> Result<Anywhere, Unreadable> {
    let place: Result<Anywhere, Unreadable> = text.parse();
    place.map_err(|Unreadable(error)| hinted(error, text).into())
}

/// Names the file or directory of this name, if there is one.
fn hinted(error: Error, text: &str) -> Error {
    let path = Path::new(text);
    let hint = match () {
        () if path.is_dir() => format!("did you mean the directory oci:{text}?"),
        () if path.is_file() => {
            format!("did you mean the file docker-archive:{text} or oci-archive:{text}?")
        }
        () => return error,
    };
    Error::new(error.kind(), format!("{error}; {hint}"))
}
