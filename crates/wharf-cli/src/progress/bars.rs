//! A bar for each blob that moves right now, on a terminal, below the lines that stay.
//!
//! A blob has a bar only while it moves, so there are never more than `--jobs`, however many
//! layers there are.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use wharf::copy::{Event, Observer};
use wharf_oci::Descriptor;

use super::label::Label;
use super::{plain, words};

/// Draws bars.
#[derive(Debug)]
pub(super) struct Bars {
    all: MultiProgress,
    label: Label,
    bars: Mutex<HashMap<String, ProgressBar>>,
}

impl Bars {
    /// Bars among `all` those of the command, each with `label` before it.
    pub(super) fn new(all: MultiProgress, label: Label) -> Self {
        Bars {
            all,
            label,
            bars: Mutex::default(),
        }
    }

    fn bars(&self) -> MutexGuard<'_, HashMap<String, ProgressBar>> {
        self.bars.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, key: &str, name: &str, size: Size) {
        let bar = match size {
            Size::Known(size) => ProgressBar::new(size).with_style(style(KNOWN)),
            Size::Unknown => ProgressBar::no_length().with_style(style(UNKNOWN)),
        };
        self.end(key);
        let bar = self.all.add(
            bar.with_prefix(self.label.before(name))
                .with_message("sending"),
        );
        self.bars().insert(key.to_owned(), bar);
    }

    fn advance(&self, key: &str, position: u64) {
        if let Some(bar) = self.bars().get(key) {
            bar.set_position(position);
        }
    }

    /// Takes the bar of a blob away, where it has one.
    fn end(&self, key: &str) {
        let bar = self.bars().remove(key);
        if let Some(bar) = bar {
            bar.finish_and_clear();
            self.all.remove(&bar);
        }
    }

    /// Takes all bars away: what failed or was given up leaves a clean terminal.
    fn end_all(&self) {
        let keys: Vec<String> = self.bars().keys().cloned().collect();
        for key in &keys {
            self.end(key);
        }
    }
}

impl Observer for Bars {
    fn on(&self, event: Event<'_>) {
        match event {
            Event::Started(blob) => {
                self.start(&key(blob), &words::name(blob), Size::Known(blob.size));
            }
            Event::LayerStarted(layer) => {
                let key = layer.key().to_string();
                self.start(&key, &words::layer_name(layer), Size::Unknown);
            }
            Event::Advanced(blob, position) | Event::Resumed(blob, position) => {
                self.advance(&key(blob), position);
            }
            Event::LayerAdvanced(layer, position) | Event::LayerResumed(layer, position) => {
                self.advance(&layer.key().to_string(), position);
            }
            // While it waits for its next try another blob moves.
            Event::Retried(blob, _) | Event::Finished(blob, _) | Event::Dropped(blob) => {
                self.end(&key(blob));
            }
            Event::LayerRetried(layer, _) | Event::LayerFinished(layer, _) => {
                self.end(&layer.key().to_string());
            }
            Event::Failed(_) => self.end_all(),
            _ => {}
        }
        if let Some(line) = plain::line(&event) {
            // Between bars only their owner knows where there is room for a line.
            drop(self.all.println(self.label.before(&line)));
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.end_all();
    }
}

fn key(blob: &Descriptor) -> String {
    blob.digest.to_string()
}

/// Whether it is known how many bytes there will be.
enum Size {
    Known(u64),
    Unknown,
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
    use wharf_oci::{Digest, MediaType};

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
            bars.on(Event::Started(&blob));
            bars.on(Event::Advanced(&blob, 5));
            assert_eq!(bars.bars().len(), 1);
            match number % 3 {
                0 => bars.on(Event::Retried(&blob, &again)),
                1 => bars.on(Event::Finished(&blob, Outcome::Existed)),
                _ => bars.on(Event::Finished(&blob, Outcome::Written)),
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
