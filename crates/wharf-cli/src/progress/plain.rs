//! A line for each blob that was moved, for files, pipes and logs.

use wharf::copy::{Event, Observer};
use wharf::store::Outcome;

use super::words;
use crate::printer::Printer;

/// Says lines.
#[derive(Debug)]
pub(super) struct Plain {
    printer: Printer,
}

impl Plain {
    /// Lines by `printer`.
    pub(super) fn new(printer: Printer) -> Self {
        Plain { printer }
    }
}

impl Observer for Plain {
    fn on(&self, event: Event<'_>) {
        if let Some(line) = line(&event) {
            self.printer.say(&line);
        }
    }
}

/// What is worth a line that stays, whatever moves below it.
pub(super) fn line(event: &Event<'_>) -> Option<String> {
    match *event {
        Event::Retried(blob, again) => Some(words::retried(&words::name(blob), again)),
        Event::LayerRetried(layer, again) => Some(words::retried(&words::layer_name(layer), again)),
        Event::Finished(blob, Outcome::Written) => Some(words::finished(blob, "written")),
        Event::Finished(blob, Outcome::Mounted) => Some(words::finished(blob, "mounted")),
        Event::LayerFinished(_, layer) => Some(words::finished(layer, "written")),
        _ => None,
    }
}
