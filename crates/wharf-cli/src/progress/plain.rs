//! A line for each blob that was moved, for files, pipes and logs.

use wharf::copy::{Event, Observer};
use wharf::store::Outcome;

use super::label::Label;
use super::words;
use crate::printer::Printer;

/// Prints lines.
#[derive(Debug)]
pub(super) struct Plain {
    printer: Printer,
    label: Label,
}

impl Plain {
    /// Lines on `printer`, each with the prefix `label`.
    pub(super) fn new(printer: Printer, label: Label) -> Self {
        Plain { printer, label }
    }
}

impl Observer for Plain {
    fn on(&self, event: Event<'_>) {
        if let Some(line) = line(&event) {
            self.printer.say(&self.label.before(&line));
        }
    }
}

/// The permanent line of an event, if it gets one.
pub(super) fn line(event: &Event<'_>) -> Option<String> {
    match *event {
        Event::Retried(subject, again) => Some(words::retried(&words::subject(subject), again)),
        Event::Finished(_, blob, Outcome::Written) => Some(words::finished(blob, "written")),
        Event::Finished(_, blob, Outcome::Mounted) => Some(words::finished(blob, "mounted")),
        _ => None,
    }
}
