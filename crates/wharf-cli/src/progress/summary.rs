//! The summary of a copy, in one line.

use std::time::Duration;

use wharf::copy::Summary;

use crate::json_line::JsonLine;
use crate::units::{bytes, count, seconds};

/// For people.
pub(super) fn line(verb: &str, summary: &Summary, time: Duration) -> String {
    if summary.manifests == 0 {
        return format!("already up to date; {}", seconds(time));
    }
    let mut line = format!(
        "{verb} {}, {}; {} existed, {} mounted; {}",
        count(summary.written, "blob"),
        bytes(summary.bytes),
        summary.existed,
        summary.mounted,
        seconds(time),
    );
    if summary.skipped > 0 {
        let skipped = format!("; {} non-distributable layers skipped", summary.skipped);
        line.push_str(&skipped);
    }
    line
}

/// For programs.
pub(super) fn json(destination: &str, summary: &Summary, time: Duration) -> JsonLine {
    let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let line = JsonLine::new("event", "summary")
        .text("destination", destination)
        .number("written", summary.written)
        .number("bytes", summary.bytes)
        .number("existed", summary.existed)
        .number("mounted", summary.mounted)
        .number("manifests", summary.manifests)
        .number("unchanged", summary.unchanged)
        .number("skipped", summary.skipped)
        .number("milliseconds", milliseconds);
    match summary.roots.last() {
        Some(root) => line.text("digest", &root.digest),
        None => line,
    }
}
