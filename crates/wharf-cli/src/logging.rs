//! Writes the library's log to standard error, at the requested level: lines for people, or objects
//! for programs.

use std::fmt;
use std::io;

use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::env;
use crate::json_line::JsonLine;
use crate::printer::{Printer, Voice};

/// Starts it; each `--verbose` adds a level.
pub(crate) fn start(verbose: u8, printer: &Printer) {
    let level = match verbose {
        0 => "error",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    // The operator of a registry must see its warnings; the logs of other crates are not for users.
    let registry = if verbose == 0 { "warn" } else { level };
    let filter = format!("error,wharf={level},wharf_registry={registry}");
    let (objects, printer) = (printer.voice() == Voice::Json, printer.clone());
    let log = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(move || Lines(printer.clone()))
        .with_ansi(env::has_colours() && !objects)
        // They would be written to standard error in another form, and panic where it is closed.
        .log_internal_errors(false)
        .without_time();
    match objects {
        true => log.event_format(Objects).init(),
        false => log.init(),
    }
}

/// Passes the lines of the log to the printer, which owns standard error.
struct Lines(Printer);

impl io::Write for Lines {
    /// Gets one whole line at a time, and never fails: an error would be reported to standard error.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.put(String::from_utf8_lossy(line).trim_end());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Formats each event of the log as an object.
struct Objects;

impl<S, N> FormatEvent<S, N> for Objects
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut text = String::new();
        context.format_fields(Writer::new(&mut text), event)?;
        let (level, target) = (event.metadata().level(), event.metadata().target());
        let line = JsonLine::new("event", "log")
            .text("level", level.as_str().to_ascii_lowercase())
            .text("target", target)
            .text("text", text);
        writeln!(writer, "{line}")
    }
}
