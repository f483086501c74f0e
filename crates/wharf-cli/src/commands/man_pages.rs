//! `wharf man-pages DIR`: a page of the manual for each command, for packages.

use std::path::PathBuf;

use wharf::{Error, Result};

use crate::command::{OnSignal, Run};
use crate::context::Context;

/// Write a page of the manual for each command into a directory
#[derive(Debug, clap::Args)]
#[command(hide = true, after_help = HELP)]
pub(crate) struct ManPages {
    /// Directory, which exists
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

const HELP: &str = "\
Example:
  wharf man-pages /usr/share/man/man1";

impl Run for ManPages {
    fn on_signal(&self) -> OnSignal {
        OnSignal::Abandon
    }

    async fn run(self, context: &Context) -> Result<()> {
        let written = clap_mangen::generate_to((context.definition)(), &self.directory);
        written.map_err(|error| Error::io(self.directory.display(), error))
    }
}
