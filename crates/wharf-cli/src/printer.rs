//! Prints data on standard output, and everything else on standard error.

use std::io::{self, ErrorKind as Io, Write};

use clap::ValueEnum;
use indicatif::MultiProgress;
use wharf::{Error, Result};

use crate::json_line::JsonLine;

/// The version of the lines of JSON; it grows when a program must change to read them.
const SCHEMA: u64 = 1;

/// What is printed on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Voice {
    /// Only errors.
    Silent,
    /// Lines for a file or a pipe.
    Plain,
    /// Bars that redraw themselves, for a terminal.
    Terminal,
    /// A line of JSON for everything.
    Json,
}

/// The kind of standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Screen {
    /// A terminal that can redraw lines.
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
    /// A printer for this choice. Bars need a terminal: elsewhere they are lines.
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

    /// Prints the first line for programs.
    pub(crate) fn begin(&self) {
        let version = env!("CARGO_PKG_VERSION");
        let line = JsonLine::new("event", "begin").number("schema", SCHEMA);
        self.event(line.text("version", version));
    }

    /// Prints for programs how a command failed.
    pub(crate) fn failed(&self, error: &str) {
        self.event(JsonLine::new("event", "failed").text("error", error));
    }

    /// Prints a line for programs, if requested.
    pub(crate) fn event(&self, line: JsonLine) {
        if self.voice == Voice::Json {
            let _ = writeln!(io::stderr().lock(), "{line}");
        }
    }

    /// How standard error is used.
    pub(crate) fn voice(&self) -> Voice {
        self.voice
    }

    /// Prints a line of data.
    ///
    /// # Errors
    /// If standard output cannot be written to. A closed pipe is not an error.
    pub(crate) fn data(&self, line: &str) -> Result<()> {
        let mut stdout = io::stdout().lock();
        match writeln!(stdout, "{line}").and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == Io::BrokenPipe => Ok(()),
            outcome => outcome.map_err(|error| Error::io("standard output", error)),
        }
    }

    /// Prints a line that is no data.
    pub(crate) fn say(&self, line: &str) {
        match self.voice {
            Voice::Silent => {}
            Voice::Json => self.event(JsonLine::new("event", "message").text("text", line)),
            // An error here has no place to be printed.
            Voice::Plain | Voice::Terminal => drop(writeln!(io::stderr().lock(), "{line}")),
        }
    }

    /// Prints a line above the bars, which redraw themselves below it.
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

    /// Prints what failed, after the name of the tool.
    pub(crate) fn complain(line: &str) {
        let _ = writeln!(io::stderr().lock(), "wharf: {line}");
    }
}
