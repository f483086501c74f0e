//! What goes where: data to standard output, everything else to standard error.

use std::io::{self, ErrorKind as Io, Write};

use clap::ValueEnum;
use indicatif::MultiProgress;
use wharf::{Error, Result};

use crate::json_line::JsonLine;

/// The meaning of the lines of JSON; a larger number where a program has to learn anew.
const SCHEMA: u64 = 1;

/// Whether anything but errors is said on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Voice {
    /// Nothing but errors.
    Silent,
    /// Lines for a file or a pipe.
    Plain,
    /// Bars that redraw themselves, for a terminal.
    Terminal,
    /// A line of JSON for all that is said.
    Json,
}

/// What standard error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Screen {
    /// A terminal whose lines can be written again.
    Redraws,
    /// Anything else.
    Lines,
}

/// How to show progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressChoice {
    /// Bars on a terminal, plain lines elsewhere
    Auto,
    /// A bar for each blob that is sent, on a terminal; plain lines elsewhere
    Bars,
    /// A line for each blob that was sent
    Plain,
    /// A JSON object per line, for programs
    Json,
    /// Nothing
    None,
}

/// Writes to the two streams.
#[derive(Clone, Debug)]
pub(crate) struct Printer {
    voice: Voice,
    bars: MultiProgress,
}

impl Printer {
    /// A printer that talks as was asked for. Bars need a terminal: elsewhere they are lines.
    pub(crate) fn new(choice: ProgressChoice, screen: Screen) -> Self {
        let voice = match choice {
            ProgressChoice::None => Voice::Silent,
            ProgressChoice::Json => Voice::Json,
            ProgressChoice::Plain => Voice::Plain,
            ProgressChoice::Auto | ProgressChoice::Bars if screen == Screen::Redraws => {
                Voice::Terminal
            }
            ProgressChoice::Auto | ProgressChoice::Bars => Voice::Plain,
        };
        Printer {
            voice,
            bars: MultiProgress::new(),
        }
    }

    /// Says what is said first.
    pub(crate) fn begin(&self) {
        let version = env!("CARGO_PKG_VERSION");
        let line = JsonLine::new("event", "begin").number("schema", SCHEMA);
        self.event(line.text("version", version));
    }

    /// Says how a command failed, for programs.
    pub(crate) fn failed(&self, error: &str) {
        self.event(JsonLine::new("event", "failed").text("error", error));
    }

    /// Says a line for programs, where they listen.
    pub(crate) fn event(&self, line: JsonLine) {
        if self.voice == Voice::Json {
            let _ = writeln!(io::stderr().lock(), "{line}");
        }
    }

    /// How to talk on standard error.
    pub(crate) fn voice(&self) -> Voice {
        self.voice
    }

    /// Prints a line of data.
    ///
    /// # Errors
    /// When standard output cannot be written to, except when its reader is gone: it has seen
    /// what it wanted to.
    pub(crate) fn data(&self, line: &str) -> Result<()> {
        let mut stdout = io::stdout().lock();
        match writeln!(stdout, "{line}").and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == Io::BrokenPipe => Ok(()),
            outcome => outcome.map_err(|error| Error::io("standard output", error)),
        }
    }

    /// Says a line that is no data.
    pub(crate) fn say(&self, line: &str) {
        match self.voice {
            Voice::Silent => {}
            Voice::Json => self.event(JsonLine::new("event", "message").text("text", line)),
            // There is no place left to complain.
            Voice::Plain | Voice::Terminal => drop(writeln!(io::stderr().lock(), "{line}")),
        }
    }

    /// Says a line above the bars: between them only their owner knows where there is room.
    pub(crate) fn say_above(&self, line: &str) {
        match self.voice {
            Voice::Silent => {}
            Voice::Plain | Voice::Json => self.say(line),
            Voice::Terminal => drop(self.bars.println(line)),
        }
    }

    /// All bars of the command.
    pub(crate) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Says what went wrong, under the tool's name.
    pub(crate) fn complain(line: &str) {
        let _ = writeln!(io::stderr().lock(), "wharf: {line}");
    }
}
