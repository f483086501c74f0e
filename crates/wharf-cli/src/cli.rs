//! The whole command line: its arguments, and running them.

use clap::Parser;
use wharf::Result;

use crate::command::{OnSignal, Run};
use crate::commands::Command;
use crate::context::Context;
use crate::flags::Global;
use crate::printer::Printer;
use crate::signals::{self, Signal};

/// Moves container images between files, streams and registries
#[derive(Debug, Parser)]
#[command(name = "wharf", version)]
#[command(arg_required_else_help = true, max_term_width = 100)]
pub(crate) struct CommandLine {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    command: Command,
}

/// How a command ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It finished.
    Done,
    /// It was cancelled by a signal; what it had begun is cleaned up.
    Interrupted(Signal),
}

impl CommandLine {
    /// Runs the command, and cancels it on a signal.
    ///
    /// # Errors
    /// The error of the command.
    pub(crate) async fn run(self, printer: Printer) -> Result<Ended> {
        let CommandLine { global, command } = self;
        let context = Context::new(global, printer, command.effect());
        let on_signal = command.on_signal();
        let work = command.run(&context);
        let ended = match on_signal {
            OnSignal::End => work.await.map(|()| Ended::Done),
            // Dropping the work cancels it: unfinished files are removed, connections closed.
            OnSignal::Abandon => tokio::select! {
                outcome = work => outcome.map(|()| Ended::Done),
                signal = signals::first() => signal.map(Ended::Interrupted),
            },
        };
        context.end().await;
        ended
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_of_the_arguments_is_consistent() {
        CommandLine::command().debug_assert();
    }
}
