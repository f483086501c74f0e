//! `wharf digest IMAGE`: the digest of what a place names.

use std::ffi::OsString;

use wharf::place::{Choice, Form, LocalPlace, PathOrStdin, Place};
use wharf::{Error, ErrorKind, Result};

use crate::arguments::Anywhere;
use crate::command::{OnSignal, Run};
use crate::context::Context;

/// Print the digest of an image or index
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Digest {
    /// Image in a registry, layout or archive; - for an archive on standard input
    #[arg(required_unless_present = "tarball")]
    image: Option<Anywhere>,
    /// Print the reference with the digest: REGISTRY/REPOSITORY@DIGEST
    #[arg(long, conflicts_with = "tarball")]
    full_ref: bool,
    /// Print the digest that a push of this archive has; IMAGE is the tag of one of its images then
    #[arg(long, value_name = "FILE")]
    tarball: Option<OsString>,
}

const HELP: &str = "\
An index has a digest of its own; with --platform it is the digest of its image. Of a docker archive
it is the digest that a push of it prints: layers are compressed for that, and the result is
remembered.

Examples:
  wharf digest alpine:3
  wharf digest --tarball saved.tar app:1";

impl Run for Digest {
    fn on_signal(&self) -> OnSignal {
        OnSignal::Abandon
    }

    /// Prints the digest and nothing else.
    async fn run(self, context: &Context) -> Result<()> {
        let image = match (self.tarball, self.image) {
            (Some(file), tag) => in_archive(file, tag.map(|tag| tag.typed)),
            (None, Some(image)) => image,
            (None, None) => return Err(Error::new(ErrorKind::Invalid, "no image is named")),
        };
        let reference = match (&image.place, self.full_ref) {
            (_, false) => None,
            (Place::Registry(reference), true) => Some(reference.clone()),
            (Place::Local(local), true) => {
                let message = "a file or directory has no full reference";
                return Err(Error::new(ErrorKind::Invalid, message).target(&local.at));
            }
        };
        context.reads(&image);
        let resolved = context.wharf()?.resolve(&image.place).await;
        let digest = resolved.map_err(|error| image.hinted(error))?.digest;
        match reference {
            Some(reference) => {
                let full = reference.with_digest(digest);
                context.printer.data(&full.to_string())
            }
            None => context.printer.data(&digest.to_string()),
        }
    }
}

/// The image with this tag in an archive, or its only one.
fn in_archive(file: OsString, tag: Option<String>) -> Anywhere {
    let typed = file.to_string_lossy().into_owned();
    let place = LocalPlace {
        form: Form::Any,
        at: match file == "-" {
            true => PathOrStdin::Stdin,
            false => PathOrStdin::Path(file.into()),
        },
        choice: tag.map(Choice::Name),
    };
    Anywhere {
        place: Place::Local(place),
        typed,
    }
}
