//! What is seen of a copy while it works: a bar a layer on a terminal, a line a layer elsewhere.
//!
//! What was there already is not worth a line: the summary counts it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use wharf::copy::{Event, Observer, Retry, Summary};
use wharf::layer::PendingLayer;
use wharf::store::Outcome;
use wharf_oci::Descriptor;

use crate::hints;
use crate::printer::{Printer, Voice};
use crate::units::{bytes, seconds, short};

/// Shows one copy.
#[derive(Debug)]
pub(crate) struct Progress {
    printer: Printer,
    started: Instant,
    all: MultiProgress,
    bars: Mutex<HashMap<String, ProgressBar>>,
}

impl Progress {
    /// Starts the clock; bars join `all` those of the command.
    pub(crate) fn new(printer: Printer, all: MultiProgress) -> Self {
        Progress {
            printer,
            started: Instant::now(),
            all,
            bars: Mutex::default(),
        }
    }

    /// Says in one line what was done.
    pub(crate) fn finish(&self, verb: &str, summary: &Summary) {
        if summary.manifests == 0 {
            let line = format!(
                "unchanged, all was there; {}",
                seconds(self.started.elapsed())
            );
            return self.printer.say(&line);
        }
        let blobs = if summary.written == 1 {
            "blob"
        } else {
            "blobs"
        };
        let mut line = format!(
            "{verb} {} {blobs}, {}; {} existed, {} mounted; {}",
            summary.written,
            bytes(summary.bytes),
            summary.existed,
            summary.mounted,
            seconds(self.started.elapsed()),
        );
        if summary.skipped > 0 {
            let skipped = format!("; {} non-distributable left out", summary.skipped);
            line.push_str(&skipped);
        }
        self.printer.say(&line);
    }

    fn bars(&self) -> MutexGuard<'_, HashMap<String, ProgressBar>> {
        self.bars.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, key: String, name: String, size: Size) {
        if self.printer.voice() != Voice::Terminal {
            return;
        }
        let bar = match size {
            Size::Known(size) => ProgressBar::new(size).with_style(style(KNOWN)),
            Size::Unknown => ProgressBar::no_length().with_style(style(UNKNOWN)),
        };
        let bar = self.all.add(bar.with_prefix(name).with_message("sending"));
        // A further try starts a blob again: its old bar must not stay.
        if let Some(old) = self.bars().insert(key, bar) {
            self.all.remove(&old);
        }
    }

    fn advance(&self, key: &str, position: u64) {
        if let Some(bar) = self.bars().get(key) {
            bar.set_position(position);
        }
    }

    fn retry(&self, key: &str, name: &str, again: &Retry<'_>) {
        match self.bars().get(key) {
            Some(bar) => bar.set_message(format!("trying again: {}", hints::line(again.error))),
            None => self.line(&format!(
                "{name}  trying again: {}",
                hints::line(again.error)
            )),
        }
    }

    /// A bar ends as a line that stays, above the bars that still move.
    fn finished(&self, key: &str, descriptor: &Descriptor, state: &'static str) {
        let bar = self.bars().remove(key);
        if let Some(bar) = bar {
            bar.finish_and_clear();
            self.all.remove(&bar);
        }
        let size = bytes(descriptor.size);
        self.line(&format!("{}  {size:>8}  {state}", name(descriptor)));
    }

    fn line(&self, line: &str) {
        self.printer.say_above(&self.all, line);
    }
}

impl Observer for Progress {
    fn on(&self, event: Event<'_>) {
        match event {
            Event::Started(blob) => {
                self.start(blob.digest.to_string(), name(blob), Size::Known(blob.size));
            }
            Event::LayerStarted(layer) => {
                let name = format!("{:<8}  {}", "layer", layer_name(layer));
                self.start(layer.key().to_string(), name, Size::Unknown);
            }
            Event::Advanced(blob, position) => self.advance(&blob.digest.to_string(), position),
            Event::LayerAdvanced(layer, position) => {
                self.advance(&layer.key().to_string(), position)
            }
            Event::Retried(blob, error) => {
                self.retry(&blob.digest.to_string(), &short(&blob.digest), error);
            }
            Event::LayerRetried(layer, error) => {
                self.retry(&layer.key().to_string(), &layer_name(layer), error);
            }
            Event::Finished(blob, Outcome::Written) => {
                self.finished(&blob.digest.to_string(), blob, "written")
            }
            Event::Finished(blob, Outcome::Mounted) => {
                self.finished(&blob.digest.to_string(), blob, "mounted")
            }
            Event::Finished(blob, Outcome::Existed) => {
                drop(self.bars().remove(&blob.digest.to_string()));
            }
            Event::LayerFinished(layer, became) => {
                self.finished(&layer.key().to_string(), became, "written");
            }
            Event::Failed(_) => self.bars().values().for_each(ProgressBar::abandon),
            _ => {}
        }
    }
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

fn name(descriptor: &Descriptor) -> String {
    let media_type = &descriptor.media_type;
    let word = match () {
        () if media_type.is_layer() => "layer",
        () if media_type.is_config() => "config",
        () if media_type.is_index() => "index",
        () if media_type.is_manifest() => "manifest",
        () => "blob",
    };
    format!("{word:<8}  {}", short(&descriptor.digest))
}

fn layer_name(layer: &PendingLayer) -> String {
    let plain = |letter: char| if letter.is_control() { '?' } else { letter };
    layer
        .diff_id()
        .map_or_else(|| layer.name().chars().map(plain).collect(), short)
}
