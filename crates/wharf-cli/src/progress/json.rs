//! Each event as a line of JSON, for programs, as `docs/progress.md` documents it. Fields may be
//! added, never removed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use wharf::copy::{Event, Observer, Retry, Subject, SubjectKey, Tally};
use wharf::layer::PendingLayer;
use wharf::store::Outcome;
use wharf_oci::Descriptor;

use super::throttle::Throttle;
use crate::hints;
use crate::json_line::JsonLine;
use crate::printer::Printer;

/// Writes lines.
#[derive(Debug)]
pub(super) struct Json {
    printer: Printer,
    lines: Mutex<Lines>,
}

impl Json {
    /// Lines on `printer` about a copy to `destination`.
    pub(super) fn new(printer: Printer, destination: &str) -> Self {
        Json {
            printer,
            lines: Mutex::new(Lines::new(destination)),
        }
    }
}

impl Observer for Json {
    fn on(&self, event: Event<'_>) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        for line in lines.of(&event, Instant::now()) {
            self.printer.event(line);
        }
    }
}

/// The state from earlier events that lines need.
#[derive(Debug)]
struct Lines {
    destination: String,
    tally: Tally,
    throttle: Throttle,
    /// The mount source of the blob that ends next.
    from: Option<String>,
    /// How far the tar of each layer was read to make what has moved of it.
    read: HashMap<SubjectKey, u64>,
}

impl Lines {
    fn new(destination: &str) -> Self {
        Lines {
            destination: destination.to_owned(),
            tally: Tally::default(),
            throttle: Throttle::default(),
            from: None,
            read: HashMap::new(),
        }
    }

    /// The lines of an event at this time.
    fn of(&mut self, event: &Event<'_>, now: Instant) -> Vec<JsonLine> {
        let held_back = self.held_back(event);
        self.tally.on(event);
        let line = match *event {
            Event::Planned { bytes, nodes } => Some(
                self.line("planned")
                    .number("bytes", bytes)
                    .number("nodes", nodes as u64),
            ),
            Event::Checked(blob) => Some(self.about("checked", blob.into())),
            Event::Mounted(_, from) => {
                self.from = Some(from.to_string());
                None
            }
            Event::Started(subject) => Some(self.started(subject)),
            Event::Read(layer, bytes) => {
                self.read.insert(Subject::Layer(layer).key(), bytes);
                None
            }
            Event::Advanced(subject, position) => self.advanced(subject, position, now),
            Event::Resumed(subject, position) => {
                let line = self.about("resumed", subject);
                Some(line.number("position", position))
            }
            Event::Retried(subject, again) => Some(self.retried(subject, again)),
            Event::Dropped(blob) => Some(self.about("dropped", blob.into())),
            Event::Finished(subject, blob, outcome) => Some(self.finished(subject, blob, outcome)),
            // The last line of the command says what failed. An upload that joins another has a
            // line when it ends.
            _ => None,
        };
        let sums = |line: JsonLine| {
            line.number("complete", self.tally.complete())
                .number("total", self.tally.total())
        };
        held_back.into_iter().chain(line.map(sums)).collect()
    }

    /// The last position of content that ends with this event, if it was not shown.
    fn held_back(&mut self, event: &Event<'_>) -> Option<JsonLine> {
        let subject = match *event {
            Event::Retried(subject, _) | Event::Finished(subject, ..) => subject,
            Event::Dropped(blob) => blob.into(),
            _ => return None,
        };
        let position = self.throttle.end(&subject.key())?;
        let line = self.moved(subject, position);
        Some(
            line.number("complete", self.tally.complete())
                .number("total", self.tally.total()),
        )
    }

    fn started(&mut self, subject: Subject<'_>) -> JsonLine {
        self.throttle.start(&subject.key());
        self.read.remove(&subject.key());
        let line = self.about("started", subject);
        let size = match subject {
            Subject::Layer(layer) => layer.size(),
            Subject::Content(_) => None,
        };
        match size {
            Some(size) => line.number("uncompressed_size", size),
            None => line,
        }
    }

    fn advanced(&mut self, subject: Subject<'_>, position: u64, now: Instant) -> Option<JsonLine> {
        let shows = self.throttle.shows(&subject.key(), position, now);
        shows.then(|| self.moved(subject, position))
    }

    fn moved(&self, subject: Subject<'_>, position: u64) -> JsonLine {
        let line = self.about("advanced", subject).number("position", position);
        match self.read.get(&subject.key()) {
            Some(read) => line.number("uncompressed_position", *read),
            None => line,
        }
    }

    fn retried(&self, subject: Subject<'_>, again: &Retry<'_>) -> JsonLine {
        let wait = u64::try_from(again.wait.as_millis()).unwrap_or(u64::MAX);
        self.about("retried", subject)
            .number("tries", u64::from(again.tries))
            .number("wait_milliseconds", wait)
            .text("error", hints::line(again.error))
    }

    fn finished(&mut self, subject: Subject<'_>, blob: &Descriptor, outcome: Outcome) -> JsonLine {
        let name = match outcome {
            Outcome::Existed => "exists",
            Outcome::Mounted => "mounted",
            Outcome::Written => "finished",
        };
        let line = self.about(name, blob.into());
        match subject {
            Subject::Layer(layer) => with_layer(line, layer),
            Subject::Content(_) => match self.from.take() {
                Some(from) if outcome == Outcome::Mounted => line.text("from", from),
                _ => line,
            },
        }
    }

    fn line(&self, name: &str) -> JsonLine {
        JsonLine::new("event", name).text("destination", &self.destination)
    }

    fn about(&self, name: &str, subject: Subject<'_>) -> JsonLine {
        let line = self.line(name);
        match subject {
            Subject::Content(blob) => line
                .text("digest", &blob.digest)
                .text("media_type", blob.media_type.as_str())
                .number("size", blob.size),
            Subject::Layer(layer) => with_layer(line, layer),
        }
    }
}

/// Names a layer that has, or had, no digest; always equally within a copy.
fn with_layer(line: JsonLine, layer: &PendingLayer) -> JsonLine {
    let line = line.text("layer", layer.key());
    match layer.diff_id() {
        Some(diff_id) => line.text("diff_id", diff_id),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wharf::{Error, ErrorKind};
    use wharf_oci::{Digest, MediaType};

    use super::*;

    /// The lines of an event, without what all have in common.
    fn told(lines: &mut Lines, event: &Event<'_>, now: Instant) -> Vec<String> {
        let common = format!(
            r#""destination":"d","digest":"{}","media_type":"application/octet-stream","size":10"#,
            Digest::of(b"a")
        );
        let lines = lines.of(event, now).into_iter();
        lines
            .map(|line| line.to_string().replace(&common, "…"))
            .collect()
    }

    #[test]
    fn p2_every_event_is_a_line_with_the_sums_and_the_last_position_is_never_lost() {
        let (mut lines, now) = (Lines::new("d"), Instant::now());
        let blob = Descriptor::new(MediaType::OCTET_STREAM, Digest::of(b"a"), 10);
        let error = Error::new(ErrorKind::Interrupted, "cut off");
        let again = Retry {
            tries: 1,
            wait: Duration::from_millis(250),
            error: &error,
        };
        let from = "localhost:5000/b".parse().unwrap();
        for (event, expected) in [
            (
                Event::Planned {
                    bytes: 10,
                    nodes: 1,
                },
                vec![
                    r#"{"event":"planned","destination":"d","bytes":10,"nodes":1,"complete":0,"total":10}"#,
                ],
            ),
            (
                Event::Checked(&blob),
                vec![r#"{"event":"checked",…,"complete":0,"total":10}"#],
            ),
            (
                Event::Started((&blob).into()),
                vec![r#"{"event":"started",…,"complete":0,"total":10}"#],
            ),
            (
                Event::Advanced((&blob).into(), 4),
                vec![r#"{"event":"advanced",…,"position":4,"complete":4,"total":10}"#],
            ),
            (Event::Advanced((&blob).into(), 6), vec![]),
            (
                Event::Retried((&blob).into(), &again),
                vec![
                    r#"{"event":"advanced",…,"position":6,"complete":6,"total":10}"#,
                    r#"{"event":"retried",…,"tries":1,"wait_milliseconds":250,"error":"cut off","complete":0,"total":10}"#,
                ],
            ),
            (
                Event::Started((&blob).into()),
                vec![r#"{"event":"started",…,"complete":0,"total":10}"#],
            ),
            (
                Event::Resumed((&blob).into(), 6),
                vec![r#"{"event":"resumed",…,"position":6,"complete":6,"total":10}"#],
            ),
            (Event::Mounted(&blob, &from), vec![]),
            (
                Event::Finished((&blob).into(), &blob, Outcome::Mounted),
                vec![r#"{"event":"mounted",…,"from":"localhost:5000/b","complete":10,"total":10}"#],
            ),
        ] {
            assert_eq!(told(&mut lines, &event, now), expected, "{event:?}");
        }
    }
}
