//! `wharf push PATH [REF]…`: pushes from disk to registries, or into the embedded one.

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use wharf::place::{Form, LocalPlace, Part, PathOrStdin};
use wharf::{Error, ErrorKind, Result};
use wharf_oci::{Reference, Repository};

use crate::arguments::{Image, OnDisk};
use crate::command::{OnSignal, Run};
use crate::context::Context;
use crate::flags::{Effect, Moving};
use crate::image_refs::ImageRefs;
use crate::transfer::Transfer;
use crate::{embed, failures, notices, push_all, stats};

/// Push an image from disk to registries, or to the embedded registry
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Push {
    /// OCI layout directory, tar archive of one, docker archive, or - for an archive on standard input
    #[arg(value_parser = OsStringValueParser::new().try_map(|text| OnDisk::parse(&text)))]
    path: OnDisk,
    /// Destinations, REGISTRY/REPOSITORY[:TAG]; without one, the embedded registry
    #[arg(value_name = "REF")]
    references: Vec<Image>,
    /// Also write the pushed references with their digests to this file
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    image_refs: Option<PathBuf>,
    /// Push everything that the layout lists, as one index: its index.json, byte for byte
    #[arg(long)]
    index: bool,
    /// Push every image of PATH under its own names; REF is then REGISTRY or REGISTRY/PREFIX
    #[arg(long, conflicts_with = "index")]
    all: bool,
    #[command(flatten)]
    moving: Moving,
}

const HELP: &str = "\
Prints each REF with its digest. A REF without a tag means `latest`; without any REF, the image
keeps the tag that it has on disk. If PATH holds several images, select one: oci:DIR:TAG,
oci-archive:FILE:TAG, docker-archive:FILE:NAME[:TAG] or PATH@DIGEST.

Examples:
  wharf push app.tar registry.example/team/app:1.2
  docker save app | wharf push - localhost:5000/app
  wharf push --all images.tar registry.example/team";

impl Run for Push {
    fn effect(&self) -> Effect {
        self.moving.effect()
    }

    fn on_signal(&self) -> OnSignal {
        match self.moving.effect() {
            Effect::Lasting => OnSignal::Pause,
            Effect::None => OnSignal::Abandon,
        }
    }

    /// Pushes to each REF, and prints each with its digest. Checks before anything is sent that the
    /// file for the references can be written.
    async fn run(self, context: &Context) -> Result<()> {
        let references = self.references.iter().map(|Image(to)| to.clone());
        let references: Vec<Reference> = references.collect();
        let image_refs = self.image_refs.as_deref().map(ImageRefs::open);
        let image_refs = image_refs.transpose()?;
        let wharf = match references.is_empty() {
            true => context.wharf_inside(&self.moving)?,
            false => context.wharf_for(&self.moving)?,
        };
        let (OnDisk(place), part) = (&self.path, self.part());
        if place.at == PathOrStdin::Stdin {
            context.reads_input("an archive");
        }
        if self.all {
            let effect = self.moving.effect();
            let pushed = push_all::push(&wharf, place, &references, effect, context).await?;
            stats::say(&context.printer, &self.moving, wharf.client());
            return match image_refs {
                Some(file) => file.write(&pushed),
                None => Ok(()),
            };
        }
        let source = wharf.open_local(place, part).await;
        let source = source.map_err(|error| self.several(error))?;
        let transfer = Transfer {
            wharf: &wharf,
            source: &source,
            effect: self.moving.effect(),
            printer: &context.printer,
            standing: &context.standing,
        };
        let pushed = match references.is_empty() {
            true => embed::push(&transfer, &place.at, context).await?,
            false => to_registries(&transfer, &references).await?,
        };
        stats::say(&context.printer, &self.moving, wharf.client());
        match image_refs {
            Some(file) => file.write(&pushed),
            None => Ok(()),
        }
    }
}

impl Push {
    /// Names the way to push all images of a layout.
    fn several(&self, error: Error) -> Error {
        let OnDisk(LocalPlace { form, at, choice }) = &self.path;
        let is_layout = match (form, at) {
            (Form::Layout | Form::OciArchive, _) => true,
            (Form::Any, PathOrStdin::Path(path)) => path.is_dir(),
            _ => false,
        };
        if error.kind() != ErrorKind::Ambiguous || choice.is_some() || !is_layout {
            return error;
        }
        let message = format!("{error}; --index pushes them all as one index");
        Error::new(error.kind(), message)
    }

    fn part(&self) -> Part {
        match self.index {
            true => Part::Whole,
            false => Part::One,
        }
    }
}

/// Pushes to all at once. Each repository fails or succeeds on its own; each REF that was pushed is
/// printed. Of several errors the last is returned, and the others are printed.
async fn to_registries(transfer: &Transfer<'_>, to: &[Reference]) -> Result<Vec<String>> {
    let stores = transfer.wharf.destinations(to, transfer.source)?;
    notices::other_names(transfer.printer, &transfer.source.names_beside(&stores));
    transfer.offer_own_tag(&stores, to);
    let outcomes = transfer.run_all(&stores).await;
    let (mut roots, mut failed) = (Vec::new(), Vec::new());
    for (store, outcome) in stores.into_iter().zip(outcomes) {
        match outcome {
            Ok(Some(root)) => roots.push((store.repository, root)),
            Ok(None) => {}
            Err(error) => failed.push(error),
        }
    }
    let mut pushed = Vec::new();
    for reference in to {
        let same = |store: &Option<Repository>| store.as_ref() == Some(reference.repository());
        if let Some((_, root)) = roots.iter().find(|(store, _)| same(store)) {
            pushed.push(reference.with_digest(root.digest.clone()).to_string());
        }
    }
    let printed = pushed.iter().map(|line| transfer.printer.data(line));
    let printed: Result<Vec<()>> = printed.collect();
    // An error of a destination is not hidden by that of the output.
    failed.splice(0..0, printed.err());
    failures::all(transfer.printer, failed)?;
    Ok(pushed)
}
