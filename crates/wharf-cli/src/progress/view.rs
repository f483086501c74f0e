//! Selects how a copy is shown.

use std::sync::Arc;
use std::time::Instant;

use wharf::copy::{NoObserver, Observer};
use wharf::front::Copied;
use wharf_oci::Tag;

use super::bars::Bars;
use super::json::Json;
use super::label::Label;
use super::plain::Plain;
use super::summary;
use crate::printer::{Printer, Voice};

/// Whether other copies are shown at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Company {
    /// Lines need no name before them.
    Alone,
    /// Lines begin with the name of their destination.
    Several,
}

impl Company {
    /// Whether one of `copies` is alone.
    pub(crate) fn of(copies: usize) -> Self {
        match copies {
            0 | 1 => Company::Alone,
            _ => Company::Several,
        }
    }

    /// The prefix of lines for people about `destination`.
    pub(crate) fn label(self, destination: &str) -> Label {
        match self {
            Company::Alone => Label::default(),
            Company::Several => Label::of(destination),
        }
    }
}

/// Shows one copy.
#[derive(Debug)]
pub(crate) struct Progress {
    printer: Printer,
    started: Instant,
    destination: String,
    observer: Arc<dyn Observer>,
}

impl Progress {
    /// Starts the clock of a copy to `destination`, its name for people.
    pub(crate) fn new(printer: &Printer, destination: &str, company: Company) -> Self {
        let label = company.label(destination);
        let observer: Arc<dyn Observer> = match printer.voice() {
            Voice::Silent => Arc::new(NoObserver),
            Voice::Plain => Arc::new(Plain::new(printer.clone(), label)),
            Voice::Terminal => Arc::new(Bars::new(printer.board().clone(), label)),
            Voice::Json => Arc::new(Json::new(printer.clone(), destination)),
        };
        Progress {
            printer: printer.clone(),
            started: Instant::now(),
            destination: destination.to_owned(),
            observer,
        }
    }

    /// Receives the events of the copy.
    pub(crate) fn observer(&self) -> Arc<dyn Observer> {
        Arc::clone(&self.observer)
    }

    /// Prints in one line what is where now, under these tags, and what was done.
    pub(crate) fn finish(&self, tags: &[Tag], copied: &Copied) {
        let (time, summary) = (self.started.elapsed(), &copied.summary);
        let destination = &self.destination;
        if self.printer.voice() == Voice::Json {
            let line = summary::json(destination, tags, summary, time);
            return self.printer.event(line);
        }
        // Several images of a repository have several digests.
        let digest = Some(&copied.descriptor.digest).filter(|_| summary.roots.len() < 2);
        let place = summary::place(destination, tags, digest);
        let line = summary::line(tags, summary, time);
        self.printer.say(&format!("{place}  {line}"));
    }
}
