//! Prints data on standard output, and everything else on standard error.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clap::ValueEnum;
use serde::Serialize;
use wharf::{Error, ErrorKind, Result};
use wharf_oci::Printable;

use crate::behind::Behind;
use crate::board::Board;
use crate::json_line::JsonLine;
use crate::output;

/// The version of the lines of JSON; it grows when a program must change to read them.
const SCHEMA: u64 = 1;

/// The most characters of foreign text that a message shows.
const MOST_SHOWN: usize = 128;

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
    board: Board,
    /// Whether the last event was printed.
    over: Arc<AtomicBool>,
    /// The lines of a server.
    behind: Arc<Mutex<Option<Behind>>>,
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
            board: Board::new(),
            over: Arc::default(),
            behind: Arc::default(),
        }
    }

    /// Prints the first line for programs.
    pub(crate) fn begin(&self) {
        let version = env!("CARGO_PKG_VERSION");
        let line = JsonLine::new("event", "begin").number("schema", SCHEMA);
        self.event(line.text("version", version));
    }

    /// Prints the error that ends a command, after the name of the tool.
    pub(crate) fn failed(&self, error: &str) {
        match self.voice {
            Voice::Json => self.event(JsonLine::new("event", "failed").text("error", error)),
            _ => self.put(&format!("wharf: {error}")),
        }
    }

    /// Prints an error that is not the last one.
    pub(crate) fn complain(&self, error: &str) {
        match self.voice {
            Voice::Json => self.event(JsonLine::new("event", "error").text("error", error)),
            _ => self.put(&format!("wharf: {error}")),
        }
    }

    /// Prints that a signal with this name ended the command. Bars are removed; events that follow
    /// are dropped.
    pub(crate) fn interrupted(&self, line: &str, signal: &str) {
        if self.voice == Voice::Terminal {
            self.board.close();
        }
        match self.voice {
            Voice::Json => {
                let event = JsonLine::new("event", "failed").text("error", line);
                self.event(event.text("signal", signal));
            }
            _ => self.put(&format!("wharf: {line}")),
        }
        self.over.store(true, Ordering::Relaxed);
    }

    /// Prints a line for programs, if requested.
    pub(crate) fn event(&self, line: JsonLine) {
        if self.voice == Voice::Json && !self.over.load(Ordering::Relaxed) {
            self.put(&line.to_string());
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
        output::judge(writeln!(stdout, "{line}").and_then(|()| stdout.flush()))
    }

    /// Prints lines of data.
    ///
    /// # Errors
    /// As [`Printer::data`].
    pub(crate) fn lines(&self, lines: impl Iterator<Item = String>) -> Result<()> {
        let text: String = lines.map(|line| line + "\n").collect();
        self.bytes(text.as_bytes())
    }

    /// Prints a document for programs, in one line.
    ///
    /// # Errors
    /// As [`Printer::data`].
    pub(crate) fn json(&self, document: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string(document);
        let unwritable = |error| Error::new(ErrorKind::Invalid, "as JSON").source(error);
        self.data(&text.map_err(unwritable)?)
    }

    /// Says that entries of a list are left out, because they are no names of this kind.
    pub(crate) fn unfit(&self, entries: &[String], kind: &str) {
        for entry in entries {
            let entry = Printable(entry.as_str(), MOST_SHOWN);
            self.say(&format!("left out, not the name of a {kind}: {entry}"));
        }
    }

    /// Prints these bytes of data, and no newline after them.
    ///
    /// # Errors
    /// As [`Printer::data`].
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<()> {
        let mut stdout = io::stdout().lock();
        output::judge(stdout.write_all(bytes).and_then(|()| stdout.flush()))
    }

    /// Prints a line that is no data.
    pub(crate) fn say(&self, line: &str) {
        match self.voice {
            Voice::Silent => {}
            Voice::Json => self.event(JsonLine::new("event", "message").text("text", line)),
            Voice::Plain | Voice::Terminal => self.put(line),
        }
    }

    /// Asks for `what`. The answer follows on the same line, except for programs.
    ///
    /// # Errors
    /// If standard error cannot be written to, as the question would not be seen.
    pub(crate) fn ask(&self, what: &str) -> Result<()> {
        let mut stderr = io::stderr().lock();
        let asked = match self.voice {
            Voice::Json => {
                let line = JsonLine::new("event", "prompt").text("text", what);
                writeln!(stderr, "{line}")
            }
            _ => write!(stderr, "{what}: "),
        };
        let asked = asked.and_then(|()| stderr.flush());
        asked.map_err(|error| Error::io("standard error", error))
    }

    /// Lets a thread of its own write the lines on standard error from now on, so that nothing waits
    /// for their reader.
    pub(crate) fn fall_behind(&self) {
        let printer = self.clone();
        *self.behind() = Behind::start(move |line| printer.write(line));
    }

    /// Waits a moment for the lines that are behind, and writes later ones at once.
    pub(crate) fn catch_up(&self) {
        let behind = self.behind().take();
        if let Some(behind) = behind {
            behind.finish();
        }
    }

    fn behind(&self) -> MutexGuard<'_, Option<Behind>> {
        self.behind.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a line to standard error as it is.
    pub(crate) fn put(&self, line: &str) {
        match &mut *self.behind() {
            Some(behind) => behind.put(line.to_owned(), |dropped| self.dropped(dropped)),
            None => self.write(line),
        }
    }

    /// The line about lines of the log that were dropped.
    fn dropped(&self, lines: u64) -> String {
        let text = format!("{lines} lines were dropped, because nothing read them in time");
        match self.voice {
            Voice::Json => JsonLine::new("event", "message")
                .text("text", text)
                .to_string(),
            _ => text,
        }
    }

    /// Writes a line above the bars, which redraw themselves. A line that cannot be written is
    /// dropped: there is no other place for it.
    fn write(&self, line: &str) {
        match self.voice {
            Voice::Terminal if self.board.println(line) => {}
            // One write, so that lines of several processes do not mix.
            _ => drop(
                io::stderr()
                    .lock()
                    .write_all(format!("{line}\n").as_bytes()),
            ),
        }
    }

    /// The rows of progress.
    pub(crate) fn board(&self) -> &Board {
        &self.board
    }
}
