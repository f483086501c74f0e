//! `wharf completion SHELL`: the script that completes words in a shell.

use wharf::{Error, Result};

use crate::command::{OnSignal, Run};
use crate::context::Context;
use crate::env;
use crate::shells::{self, Shell};

/// Print the script that completes commands, flags, and images seen before in a shell
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Completion {
    /// Shell to print it for
    shell: Shell,
}

const HELP: &str = "\
Repositories and tags are completed from the cache of earlier runs, without a request. Run the line
in the start file of the shell, so that the script fits the installed version.

Examples:
  source <(wharf completion bash)
  wharf completion fish | source";

impl Run for Completion {
    fn on_signal(&self) -> OnSignal {
        OnSignal::Abandon
    }

    /// Prints the script and nothing else.
    async fn run(self, context: &Context) -> Result<()> {
        let script = shells::script(self.shell, &env::program());
        let script = script.map_err(|error| Error::io("the script", error))?;
        context.printer.data(script.trim_end())
    }
}
