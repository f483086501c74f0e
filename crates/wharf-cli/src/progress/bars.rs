//! A bar for each blob that is moving, on a terminal, below the lines that stay.
//!
//! A blob has a bar only while it moves, so there are at most `--jobs` bars, for any number of
//! layers.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use wharf::copy::{Event, Observer, Subject, SubjectKey};

use super::label::Label;
use super::{plain, words};

/// Draws bars.
#[derive(Debug)]
pub(super) struct Bars {
    all: MultiProgress,
    label: Label,
    bars: Mutex<HashMap<SubjectKey, ProgressBar>>,
}

impl Bars {
    /// Bars among `all` of the command, each with `label` before it.
    pub(super) fn new(all: MultiProgress, label: Label) -> Self {
        Bars {
            all,
            label,
            bars: Mutex::default(),
        }
    }

    fn bars(&self) -> MutexGuard<'_, HashMap<SubjectKey, ProgressBar>> {
        self.bars.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, subject: Subject<'_>) {
        let bar = match subject {
            Subject::Content(blob) => ProgressBar::new(blob.size).with_style(style(KNOWN)),
            Subject::Layer(_) => ProgressBar::no_length().with_style(style(UNKNOWN)),
        };
        let key = subject.key();
        self.end(&key);
        let name = self.label.before(&words::subject(subject));
        let bar = bar.with_prefix(name).with_message("sending");
        self.bars().insert(key, self.all.add(bar));
    }

    fn advance(&self, key: &SubjectKey, position: u64) {
        if let Some(bar) = self.bars().get(key) {
            bar.set_position(position);
        }
    }

    /// Removes the bar of a blob, if it has one.
    fn end(&self, key: &SubjectKey) {
        let bar = self.bars().remove(key);
        if let Some(bar) = bar {
            bar.finish_and_clear();
            self.all.remove(&bar);
        }
    }

    /// Removes all bars, so that a failed or cancelled copy leaves a clean terminal.
    fn end_all(&self) {
        let keys: Vec<SubjectKey> = self.bars().keys().cloned().collect();
        for key in &keys {
            self.end(key);
        }
    }
}

impl Observer for Bars {
    fn on(&self, event: Event<'_>) {
        match event {
            Event::Started(subject) => self.start(subject),
            Event::Advanced(subject, position) | Event::Resumed(subject, position) => {
                self.advance(&subject.key(), position);
            }
            // While it waits for its next try another blob moves.
            Event::Retried(subject, _) | Event::Finished(subject, ..) => self.end(&subject.key()),
            Event::Dropped(blob) => self.end(&Subject::Content(blob).key()),
            Event::Failed(_) => self.end_all(),
            _ => {}
        }
        if let Some(line) = plain::line(&event) {
            // The owner of the bars must print lines between them.
            drop(self.all.println(self.label.before(&line)));
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.end_all();
    }
}

const KNOWN: &str =
    "{prefix} {bar:10} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {wide_msg}";
const UNKNOWN: &str = "{prefix} {spinner} {decimal_bytes} {decimal_bytes_per_sec} {wide_msg}";

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wharf::copy::Retry;
    use wharf::store::Outcome;
    use wharf::{Error, ErrorKind};
    use wharf_oci::{Descriptor, Digest, MediaType};

    use super::*;

    #[test]
    fn p2_only_what_moves_has_a_bar() {
        let bars = Bars::new(MultiProgress::new(), Label::default());
        let error = Error::new(ErrorKind::Interrupted, "cut off");
        let again = Retry {
            tries: 1,
            wait: Duration::ZERO,
            error: &error,
        };
        for number in 0_u64..300 {
            let digest = Digest::of(&number.to_be_bytes());
            let blob = Descriptor::new(MediaType::OCI_LAYER_GZIP, digest, 10);
            bars.on(Event::Started((&blob).into()));
            bars.on(Event::Advanced((&blob).into(), 5));
            assert_eq!(bars.bars().len(), 1);
            match number % 3 {
                0 => bars.on(Event::Retried((&blob).into(), &again)),
                1 => bars.on(Event::Finished((&blob).into(), &blob, Outcome::Existed)),
                _ => bars.on(Event::Finished((&blob).into(), &blob, Outcome::Written)),
            }
            assert_eq!(bars.bars().len(), 0);
        }
    }

    #[test]
    fn the_templates_are_understood() {
        for template in [KNOWN, UNKNOWN] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }
}
