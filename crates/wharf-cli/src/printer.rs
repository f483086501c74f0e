//! What goes where: data to standard output, everything else to standard error.

use std::io::{self, ErrorKind as Io, IsTerminal, Write};

use indicatif::MultiProgress;
use wharf::{Error, Result};

/// Whether anything but errors is said on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Voice {
    /// Nothing but errors.
    Silent,
    /// Lines for a file or a pipe.
    Plain,
    /// Bars that redraw themselves, for a terminal.
    Terminal,
}

/// Writes to the two streams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer {
    voice: Voice,
}

impl Printer {
    /// A printer that says nothing on the side where `quiet` was asked for.
    pub(crate) fn new(quiet: bool) -> Self {
        let voice = match quiet {
            true => Voice::Silent,
            false if io::stderr().is_terminal() => Voice::Terminal,
            false => Voice::Plain,
        };
        Printer { voice }
    }

    /// How to talk on standard error.
    pub(crate) fn voice(self) -> Voice {
        self.voice
    }

    /// Prints a line of data.
    ///
    /// # Errors
    /// When standard output cannot be written to, except when its reader is gone: it has seen
    /// what it wanted to.
    pub(crate) fn data(self, line: &str) -> Result<()> {
        let mut stdout = io::stdout().lock();
        match writeln!(stdout, "{line}").and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == Io::BrokenPipe => Ok(()),
            outcome => outcome.map_err(|error| Error::io("standard output", error)),
        }
    }

    /// Says a line that is no data.
    pub(crate) fn say(self, line: &str) {
        if self.voice != Voice::Silent {
            // There is no place left to complain.
            let _ = writeln!(io::stderr().lock(), "{line}");
        }
    }

    /// Says a line above `bars`: between them only their owner knows where there is room.
    pub(crate) fn say_above(self, bars: &MultiProgress, line: &str) {
        match self.voice {
            Voice::Silent => {}
            Voice::Plain => self.say(line),
            Voice::Terminal => drop(bars.println(line)),
        }
    }

    /// Says what went wrong, under the tool's name.
    pub(crate) fn complain(line: &str) {
        let _ = writeln!(io::stderr().lock(), "wharf: {line}");
    }
}
