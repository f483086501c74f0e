//! The whole command line: its arguments, and running them.

use std::ffi::OsString;

use clap::{CommandFactory, FromArgMatches, Parser};
use wharf::Result;

use crate::bool_flags;
use crate::command::{OnSignal, Run};
use crate::commands::Command;
use crate::context::Context;
use crate::flags::Global;
use crate::printer::Printer;
use crate::signals::{Signal, Signals};

/// Moves container images between files, streams and registries
#[derive(Debug, Parser)]
#[command(name = "wharf", version)]
#[command(arg_required_else_help = true, max_term_width = 100)]
// The last one of an option counts, so that an alias or a script can be overridden.
#[command(args_override_self = true)]
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
    /// It was stopped by a signal, and said so.
    Interrupted(Signal),
}

impl CommandLine {
    /// Parses the words that were typed, the name of the program first.
    ///
    /// # Errors
    /// Usage, or help that was asked for.
    pub(crate) fn typed(words: Vec<OsString>) -> Result<Self, clap::Error> {
        let mut command = CommandLine::command();
        command.build();
        let words = bool_flags::plain(&command, words);
        let matches = command.try_get_matches_from_mut(words)?;
        CommandLine::from_arg_matches(&matches)
    }

    /// Runs the command, and stops it on a signal. A second signal ends the tidying up.
    ///
    /// # Errors
    /// The error of the command.
    pub(crate) async fn run(self, printer: Printer) -> Result<Ended> {
        let CommandLine { global, command } = self;
        let context = Context::new(global, printer, command.effect(), CommandLine::command);
        let on_signal = command.on_signal();
        if on_signal == OnSignal::End {
            let ended = command.run(&context).await;
            context.end().await;
            return ended.map(|()| Ended::Done);
        }
        let mut signals = Signals::listen()?;
        let mut work = Box::pin(command.run(&context));
        let ended = tokio::select! {
            outcome = &mut work => outcome.map(|()| Ended::Done),
            signal = signals.next() => Ok(Ended::Interrupted(signal)),
        };
        if let Ok(Ended::Interrupted(signal)) = ended {
            context.pause();
            // Removes unfinished files and closes connections. Uploads are cancelled in the
            // background, or left to the next run.
            drop(work);
            let line = context.standing.line(on_signal, context.paused_uploads());
            context.printer.interrupted(&line, signal.name());
        }
        tokio::select! {
            () = context.end() => {}
            _ = signals.next() => {}
        }
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

    #[test]
    fn fault_xtwice_the_last_of_an_option_counts_and_lists_grow() {
        let line = "wharf --retries 3 -q push --retries 7 -q --index --index -j 2 -j 4 \
                    --ca-cert a --ca-cert b layout localhost:5000/a:1 localhost:5000/b:1";
        let read = CommandLine::try_parse_from(line.split_whitespace()).unwrap();
        let text = format!("{read:?}");
        assert!(
            text.contains("retries: 7") && text.contains("jobs: Some(4)"),
            "{text}"
        );
        assert!(text.contains(r#"["a", "b"]"#), "{text}");
    }
}
