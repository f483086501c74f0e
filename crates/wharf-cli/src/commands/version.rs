//! `wharf version`.

use wharf::Result;

use crate::command::{OnSignal, Run};
use crate::context::Context;

/// Print the version
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Version;

const HELP: &str = "\
Example:
  wharf version";

impl Run for Version {
    fn on_signal(&self) -> OnSignal {
        OnSignal::Abandon
    }

    /// Prints the version and nothing else.
    async fn run(self, context: &Context) -> Result<()> {
        context.printer.data(env!("CARGO_PKG_VERSION"))
    }
}
