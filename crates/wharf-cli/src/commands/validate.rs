//! `wharf validate`: checks that images are whole, and what they say they are.

use std::ffi::OsString;

use wharf::front::{CheckDepth, Finding};
use wharf::place::{Form, LocalPlace, PathOrStdin, Place};
use wharf::{Error, ErrorKind, Result};

use crate::arguments::Anywhere;
use crate::command::{OnSignal, Run};
use crate::context::Context;

/// Check that images are whole, and what they say they are
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Validate {
    /// Images in registries, layouts or archives; - for an archive on standard input
    #[arg(value_name = "IMAGE")]
    images: Vec<Anywhere>,
    /// Check an archive with one image
    #[arg(long, value_name = "FILE")]
    tarball: Option<OsString>,
    /// Check an image in a registry
    #[arg(long, value_name = "IMAGE")]
    remote: Option<Anywhere>,
    /// Only ask whether layers are there, and do not read them
    #[arg(long)]
    fast: bool,
}

const HELP: &str = "\
Reads everything below each image or index: digests and sizes, diff ids, paths that a layer has
twice, and the platforms that an index states. Of artifacts and attestations digests and sizes are
checked. Prints PASS or FAIL for each, and stops at the first that fails. With --platform only that
image of an index is checked.

Examples:
  wharf validate registry.example/app:1
  wharf validate --tarball saved.tar --remote registry.example/app:1";

impl Run for Validate {
    fn on_signal(&self) -> OnSignal {
        OnSignal::Abandon
    }

    /// Prints a line for each image.
    async fn run(self, context: &Context) -> Result<()> {
        let depth = match self.fast {
            true => CheckDepth::Presence,
            false => CheckDepth::Content,
        };
        let wharf = context.wharf()?;
        let archive = self.tarball.into_iter().map(archive);
        for image in archive.chain(self.remote).chain(self.images) {
            let opened = context.read(&wharf, &image).await?;
            let findings = wharf.validate(&opened, depth).await?;
            let name = image.typed;
            let Some(what) = summary(&findings) else {
                context.printer.data(&format!("PASS: {name}"))?;
                continue;
            };
            let line = format!("FAIL: {name}: {what}");
            context.printer.data(&line)?;
            return Err(Error::new(ErrorKind::Corrupt, line));
        }
        Ok(())
    }
}

/// An archive, named as it was typed.
fn archive(file: OsString) -> Anywhere {
    let typed = file.to_string_lossy().into_owned();
    let place = LocalPlace {
        form: Form::Any,
        at: match file == "-" {
            true => PathOrStdin::Stdin,
            false => PathOrStdin::Path(file.into()),
        },
        choice: None,
    };
    Anywhere {
        place: Place::Local(place),
        typed,
    }
}

/// The most findings in a line.
const MOST_NAMED: usize = 10;

/// All findings in one line; `None` if there are none.
fn summary(findings: &[Finding]) -> Option<String> {
    let named: Vec<String> = findings
        .iter()
        .take(MOST_NAMED)
        .map(ToString::to_string)
        .collect();
    let more = match findings.len() - named.len() {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    (!named.is_empty()).then(|| format!("{}{more}", named.join("; ")))
}
