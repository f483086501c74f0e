//! How far a copy is: total and complete bytes, summed up from its events (wire.md P1).
//!
//! At the end of a copy that succeeded both are the same.

use std::collections::HashMap;
use std::hash::Hash;

use wharf_oci::Digest;

use crate::copy::Event;
use crate::draft::LayerKey;

/// Total and complete bytes of a copy. An observer hands it every event, and asks when it likes.
///
/// What was there or was mounted is complete at once; a try that is given up takes back what it
/// had counted; layers that are made on the way join the total as far as they are made.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    total: u64,
    complete: u64,
    /// How far blobs under way are, in bytes.
    blobs: HashMap<Digest, u64>,
    /// The same of layers that have only a diff id yet.
    layers: HashMap<LayerKey, u64>,
}

impl Tally {
    /// Bytes of all distinct content, as far as sizes are known.
    pub fn total(&self) -> u64 {
        let made = self.layers.values().fold(0, |sum, made| add(sum, *made));
        add(self.total, made)
    }

    /// Bytes that are in the store or on their way to it.
    pub fn complete(&self) -> u64 {
        let moving = self.blobs.values().chain(self.layers.values());
        moving.fold(self.complete, |sum, moved| add(sum, *moved))
    }

    /// Counts what happened.
    pub fn on(&mut self, event: &Event<'_>) {
        match *event {
            Event::Planned { bytes, .. } => self.total = bytes,
            Event::Joined(descriptor) => self.total = add(self.total, descriptor.size),
            Event::Dropped(content) => {
                self.blobs.remove(&content.digest);
                self.total = self.total.saturating_sub(content.size);
            }
            Event::Started(blob) => {
                self.blobs.insert(blob.digest.clone(), 0);
            }
            Event::Advanced(blob, position) | Event::Resumed(blob, position) => {
                // More bytes than promised are an error that follows, not progress.
                advance(&mut self.blobs, &blob.digest, position.min(blob.size));
            }
            Event::Retried(blob, _) => {
                self.blobs.remove(&blob.digest);
            }
            Event::Finished(descriptor, _) => {
                self.blobs.remove(&descriptor.digest);
                self.complete = add(self.complete, descriptor.size);
            }
            Event::LayerStarted(layer) => {
                self.layers.insert(layer.key().clone(), 0);
            }
            Event::LayerAdvanced(layer, position) | Event::LayerResumed(layer, position) => {
                advance(&mut self.layers, layer.key(), position);
            }
            Event::LayerRetried(layer, _) => {
                self.layers.remove(layer.key());
            }
            Event::LayerFinished(layer, became) => {
                self.layers.remove(layer.key());
                self.complete = add(self.complete, became.size);
            }
            Event::Checked(_) | Event::Mounted(..) | Event::Failed(_) => {}
        }
    }
}

/// What a connection takes after its try ended does not count.
fn advance<K: Eq + Hash>(under_way: &mut HashMap<K, u64>, key: &K, position: u64) {
    if let Some(there) = under_way.get_mut(key) {
        *there = position;
    }
}

/// Sizes are what strangers say they are.
fn add(sum: u64, more: u64) -> u64 {
    sum.saturating_add(more)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;
    use wharf_oci::{Descriptor, MediaType};

    use super::*;
    use crate::copy::Retry;
    use crate::draft::PendingLayer;
    use crate::store::Outcome;
    use crate::{Error, ErrorKind};

    fn blob(content: &str, size: u64) -> Descriptor {
        Descriptor::new(
            MediaType::OCTET_STREAM,
            Digest::of(content.as_bytes()),
            size,
        )
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
            (Event::Started(&blob), 0),
            (Event::Advanced(&blob, 60), 60),
            (Event::Retried(&blob, &again), 0),
            // A connection that is being closed took one chunk more.
            (Event::Advanced(&blob, 70), 0),
            (Event::Started(&blob), 0),
            (Event::Resumed(&blob, 50), 50),
            (Event::Advanced(&blob, 90), 90),
            (Event::Finished(&blob, Outcome::Written), 100),
            (Event::Advanced(&blob, 90), 100),
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
        let existed = Event::Finished(&there, Outcome::Existed);
        assert_eq!(after(&mut tally, &existed), (7, 10));
        let mounted = Event::Finished(&linked, Outcome::Mounted);
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
            (Event::LayerStarted(&pending), (0, 5)),
            (Event::LayerAdvanced(&pending, 30), (30, 35)),
            (Event::Joined(&layer), (30, 75)),
            (Event::LayerFinished(&pending, &layer), (40, 45)),
        ] {
            assert_eq!(after(&mut tally, &event), expected, "{event:?}");
        }
    }

    #[test]
    fn sizes_that_no_disk_holds_do_not_overflow() {
        let (mut tally, huge) = (Tally::default(), blob("a", u64::MAX));
        for _ in 0..2 {
            tally.on(&Event::Joined(&huge));
            tally.on(&Event::Finished(&huge, Outcome::Existed));
        }
        assert_eq!((tally.complete(), tally.total()), (u64::MAX, u64::MAX));
    }
}
