//! Picks how a copy is shown.

use std::sync::Arc;
use std::time::Instant;

use indicatif::MultiProgress;
use wharf::copy::{NoObserver, Observer, Summary};

use super::bars::Bars;
use super::json::Json;
use super::plain::Plain;
use super::summary;
use crate::printer::{Printer, Voice};

/// Shows one copy.
#[derive(Debug)]
pub(crate) struct Progress {
    printer: Printer,
    started: Instant,
    destination: String,
    observer: Arc<dyn Observer>,
}

impl Progress {
    /// Starts the clock of a copy to `destination`, as it is called for people; its bars join
    /// those of the command.
    pub(crate) fn new(printer: Printer, bars: &MultiProgress, destination: &str) -> Self {
        let observer: Arc<dyn Observer> = match printer.voice() {
            Voice::Silent => Arc::new(NoObserver),
            Voice::Plain => Arc::new(Plain::new(printer)),
            Voice::Terminal => Arc::new(Bars::new(bars.clone())),
            Voice::Json => Arc::new(Json::new(printer, destination)),
        };
        Progress {
            printer,
            started: Instant::now(),
            destination: destination.to_owned(),
            observer,
        }
    }

    /// Who is to be told of the copy.
    pub(crate) fn observer(&self) -> Arc<dyn Observer> {
        Arc::clone(&self.observer)
    }

    /// Says in one line what was done.
    pub(crate) fn finish(&self, verb: &str, summary: &Summary) {
        let time = self.started.elapsed();
        match self.printer.voice() {
            Voice::Json => self
                .printer
                .event(summary::json(&self.destination, summary, time)),
            _ => self.printer.say(&summary::line(verb, summary, time)),
        }
    }
}
