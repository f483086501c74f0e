//! The progress of a copy: total and complete bytes, summed up from its events (wire.md P1).
//!
//! At the end of a successful copy both are equal.

use std::collections::HashMap;

use crate::copy::{Event, Subject, SubjectKey};

/// Total and complete bytes of a copy. An observer passes it every event.
///
/// Content that was there or was mounted is complete at once. A failed try takes back what it
/// counted. Layers that are made on the way join the total as they are made.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    total: u64,
    complete: u64,
    /// The progress of everything under way, in bytes.
    moving: HashMap<SubjectKey, u64>,
}

impl Tally {
    /// Bytes of all distinct content, as far as sizes are known.
    pub fn total(&self) -> u64 {
        let layers = self.moving.iter().filter_map(|(key, made)| match key {
            SubjectKey::Layer(_) => Some(*made),
            SubjectKey::Content(_) => None,
        });
        layers.fold(self.total, add)
    }

    /// Bytes that are in the store or on their way to it.
    pub fn complete(&self) -> u64 {
        self.moving.values().copied().fold(self.complete, add)
    }

    /// Counts an event.
    pub fn on(&mut self, event: &Event<'_>) {
        match *event {
            Event::Planned { bytes, .. } => self.total = bytes,
            Event::Joined(descriptor) => self.total = add(self.total, descriptor.size),
            Event::Dropped(content) => {
                self.moving.remove(&Subject::Content(content).key());
                self.total = self.total.saturating_sub(content.size);
            }
            Event::Started(subject) => {
                self.moving.insert(subject.key(), 0);
            }
            Event::Advanced(subject, position) | Event::Resumed(subject, position) => {
                self.advance(subject, position);
            }
            Event::Retried(subject, _) => {
                self.moving.remove(&subject.key());
            }
            Event::Finished(subject, descriptor, _) => {
                self.moving.remove(&subject.key());
                self.complete = add(self.complete, descriptor.size);
            }
            Event::Checked(_)
            | Event::Mounted(..)
            | Event::Tagging(..)
            | Event::Tagged(..)
            | Event::Failed(_) => {}
        }
    }

    /// Ignores bytes that a connection takes after its try ended.
    fn advance(&mut self, subject: Subject<'_>, position: u64) {
        let Some(there) = self.moving.get_mut(&subject.key()) else {
            return;
        };
        *there = match subject {
            // Excess bytes are not progress; an error follows.
            Subject::Content(content) => position.min(content.size),
            Subject::Layer(_) => position,
        };
    }
}

/// Foreign manifests state the sizes, so the sum saturates.
fn add(sum: u64, more: u64) -> u64 {
    sum.saturating_add(more)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;
    use wharf_oci::{Descriptor, Digest, MediaType};

    use super::*;
    use crate::copy::Retry;
    use crate::layer::PendingLayer;
    use crate::store::Outcome;
    use crate::{Error, ErrorKind};

    fn blob(content: &str, size: u64) -> Descriptor {
        Descriptor::new(
            MediaType::OCTET_STREAM,
            Digest::of(content.as_bytes()),
            size,
        )
    }

    fn finished(content: &Descriptor, outcome: Outcome) -> Event<'_> {
        Event::Finished(content.into(), content, outcome)
    }

    fn after(tally: &mut Tally, event: &Event<'_>) -> (u64, u64) {
        tally.on(event);
        (tally.complete(), tally.total())
    }

    #[test]
    fn p1_a_failed_try_takes_back_what_it_counted() {
        let (mut tally, blob) = (Tally::default(), blob("a", 100));
        let error = Error::new(ErrorKind::Interrupted, "cut off");
        let again = Retry {
            tries: 1,
            wait: Duration::ZERO,
            error: &error,
        };
        let bytes = blob.size;
        for (event, expected) in [
            (Event::Planned { bytes, nodes: 1 }, 0),
            (Event::Checked(&blob), 0),
            (Event::Started((&blob).into()), 0),
            (Event::Advanced((&blob).into(), 60), 60),
            (Event::Retried((&blob).into(), &again), 0),
            // A connection that is being closed took one more chunk.
            (Event::Advanced((&blob).into(), 70), 0),
            (Event::Started((&blob).into()), 0),
            (Event::Resumed((&blob).into(), 50), 50),
            (Event::Advanced((&blob).into(), 90), 90),
            (finished(&blob, Outcome::Written), 100),
            (Event::Advanced((&blob).into(), 90), 100),
        ] {
            assert_eq!(after(&mut tally, &event), (expected, 100), "{event:?}");
        }
    }

    #[test]
    fn p1_what_was_there_or_was_mounted_is_complete_at_once() {
        let (mut tally, there, linked) = (Tally::default(), blob("a", 7), blob("b", 3));
        let planned = Event::Planned {
            bytes: 10,
            nodes: 2,
        };
        assert_eq!(after(&mut tally, &planned), (0, 10));
        let existed = finished(&there, Outcome::Existed);
        assert_eq!(after(&mut tally, &existed), (7, 10));
        let mounted = finished(&linked, Outcome::Mounted);
        assert_eq!(after(&mut tally, &mounted), (10, 10));
    }

    #[test]
    fn p2_layers_made_on_the_way_join_the_total_as_they_become_known() {
        let (mut tally, layer) = (Tally::default(), blob("a", 40));
        let unmade = || async { Err(Error::new(ErrorKind::Invalid, "not made here")) }.boxed();
        let pending = PendingLayer::new(Digest::of(b"tar"), 400, MediaType::OCI_LAYER, unmade);
        let planned = Event::Planned { bytes: 5, nodes: 2 };
        for (event, expected) in [
            (planned, (0, 5)),
            (Event::Started((&pending).into()), (0, 5)),
            (Event::Advanced((&pending).into(), 30), (30, 35)),
            (Event::Joined(&layer), (30, 75)),
            (
                Event::Finished((&pending).into(), &layer, Outcome::Written),
                (40, 45),
            ),
        ] {
            assert_eq!(after(&mut tally, &event), expected, "{event:?}");
        }
    }

    #[test]
    fn sizes_that_no_disk_holds_do_not_overflow() {
        let (mut tally, huge) = (Tally::default(), blob("a", u64::MAX));
        for _ in 0..2 {
            tally.on(&Event::Joined(&huge));
            tally.on(&finished(&huge, Outcome::Existed));
        }
        assert_eq!((tally.complete(), tally.total()), (u64::MAX, u64::MAX));
    }
}
