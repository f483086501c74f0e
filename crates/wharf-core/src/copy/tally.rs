//! The progress of a copy: total and complete bytes, summed up from its events (wire.md P1).
//!
//! At the end of a successful copy both are equal.

use std::collections::{HashMap, HashSet};

use wharf_oci::{Descriptor, Digest};

use crate::copy::{Event, Subject, SubjectKey};

/// Total and complete bytes of a copy. An observer passes it every event.
///
/// Content that was there or was mounted is complete at once. A failed try takes back what it
/// counted, and the total never falls. A layer that is made on the way counts by the bytes of its
/// tar if these are known, and otherwise joins the total as it is made.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    total: u64,
    complete: u64,
    /// The progress of everything under way.
    moving: HashMap<SubjectKey, Progress>,
    /// What each layer that is not finished adds to the total.
    layers: HashMap<SubjectKey, Weight>,
    /// Made layers that joined and are counted already.
    made: HashSet<Digest>,
}

/// How far a try got.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// Bytes that moved.
    moved: u64,
    /// Bytes of a layer's tar that were read.
    read: Option<u64>,
}

/// What a layer counts for in the total, in bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Weight {
    /// Its tar.
    tar: Option<u64>,
    /// The furthest position of any try.
    furthest: u64,
}

impl Tally {
    /// Bytes of all distinct content, as far as sizes are known.
    pub fn total(&self) -> u64 {
        let layers = self.layers.values();
        layers.map(Weight::bytes).fold(self.total, add)
    }

    /// Bytes that are in the store or on their way to it.
    pub fn complete(&self) -> u64 {
        let moving = self.moving.iter();
        let moving = moving.map(|(key, progress)| match self.layers.get(key) {
            Some(Weight { tar: Some(tar), .. }) => {
                progress.read.unwrap_or(progress.moved).min(*tar)
            }
            _ => progress.moved,
        });
        moving.fold(self.complete, add)
    }

    /// Counts an event.
    pub fn on(&mut self, event: &Event<'_>) {
        match *event {
            Event::Planned { bytes, .. } => self.total = bytes,
            Event::Expected(layer) => {
                let weight = self.layers.entry(Subject::Layer(layer).key()).or_default();
                weight.tar = layer.size();
            }
            // It is a layer that was made just now, which counts as such until it is finished.
            Event::Joined(descriptor) if self.is_making() => {
                self.made.insert(descriptor.digest.clone());
            }
            Event::Joined(descriptor) => self.total = add(self.total, descriptor.size),
            Event::Dropped(content) => {
                self.moving.remove(&Subject::Content(content).key());
                self.complete = add(self.complete, content.size);
            }
            Event::Started(subject) => {
                if let Subject::Layer(_) = subject {
                    self.layers.entry(subject.key()).or_default();
                }
                self.moving.insert(subject.key(), Progress::default());
            }
            Event::Advanced(subject, position) | Event::Resumed(subject, position) => {
                self.advance(subject, position);
            }
            Event::Read(layer, bytes) => {
                if let Some(progress) = self.moving.get_mut(&Subject::Layer(layer).key()) {
                    progress.read = Some(bytes);
                }
            }
            Event::Retried(subject, _) => {
                self.moving.remove(&subject.key());
            }
            Event::Finished(subject, descriptor, _) => self.finish(subject, descriptor),
            Event::Checked(_)
            | Event::Mounted(..)
            | Event::Tagging(..)
            | Event::Tagged(..)
            | Event::Failed(_) => {}
        }
    }

    fn is_making(&self) -> bool {
        let mut moving = self.moving.keys();
        moving.any(|key| matches!(key, SubjectKey::Layer(_)))
    }

    /// Ignores bytes that a connection takes after its try ended.
    fn advance(&mut self, subject: Subject<'_>, position: u64) {
        let key = subject.key();
        let Some(progress) = self.moving.get_mut(&key) else {
            return;
        };
        progress.moved = match subject {
            // Excess bytes are not progress; an error follows.
            Subject::Content(content) => position.min(content.size),
            Subject::Layer(_) => position,
        };
        if let Some(weight) = self.layers.get_mut(&key) {
            weight.furthest = weight.furthest.max(position);
        }
    }

    fn finish(&mut self, subject: Subject<'_>, descriptor: &Descriptor) {
        self.moving.remove(&subject.key());
        let waited = self.made.remove(&descriptor.digest);
        let bytes = match self.layers.remove(&subject.key()) {
            Some(Weight { tar: Some(tar), .. }) => tar,
            Some(Weight { furthest, .. }) => furthest.max(descriptor.size),
            None => {
                self.complete = add(self.complete, descriptor.size);
                if waited {
                    self.total = add(self.total, descriptor.size);
                }
                return;
            }
        };
        self.total = add(self.total, bytes);
        self.complete = add(self.complete, bytes);
    }
}

impl Weight {
    fn bytes(&self) -> u64 {
        self.tar.unwrap_or(self.furthest)
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
    use proptest::prelude::*;
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
            (Event::Joined(&layer), (30, 35)),
            (
                Event::Finished((&pending).into(), &layer, Outcome::Written),
                (40, 45),
            ),
        ] {
            assert_eq!(after(&mut tally, &event), expected, "{event:?}");
        }
    }

    #[test]
    fn fault_c11_a_layer_with_a_tar_of_known_size_counts_by_it_from_the_beginning() {
        let (mut tally, layer) = (Tally::default(), blob("a", 40));
        let pending = pending(400);
        let error = Error::new(ErrorKind::Interrupted, "cut off");
        let again = Retry {
            tries: 1,
            wait: Duration::ZERO,
            error: &error,
        };
        tally.on(&Event::Expected(&pending));
        let planned = Event::Planned { bytes: 5, nodes: 2 };
        for (event, expected) in [
            (planned, 0),
            (Event::Started((&pending).into()), 0),
            (Event::Read(&pending, 200), 200),
            (Event::Advanced((&pending).into(), 18), 200),
            (Event::Retried((&pending).into(), &again), 0),
            (Event::Started((&pending).into()), 0),
            (Event::Read(&pending, 400), 400),
            (Event::Advanced((&pending).into(), 40), 400),
            (Event::Joined(&layer), 400),
            (
                Event::Finished((&pending).into(), &layer, Outcome::Written),
                400,
            ),
        ] {
            assert_eq!(after(&mut tally, &event), (expected, 405), "{event:?}");
        }
    }

    fn pending(size: u64) -> PendingLayer {
        let unmade = || async { Err(Error::new(ErrorKind::Invalid, "not made here")) }.boxed();
        let diff_id = Digest::of(format!("tar of {size}").as_bytes());
        PendingLayer::new(diff_id, size, MediaType::OCI_LAYER, unmade)
    }

    /// What happens to one of several things, some of which are layers.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Move(u64),
        Fail,
        Finish,
    }

    fn step() -> impl Strategy<Value = (usize, Step)> {
        let what = prop_oneof![
            4 => (1..50_u64).prop_map(Step::Move),
            1 => Just(Step::Fail),
            1 => Just(Step::Finish),
        ];
        (0..6_usize, what)
    }

    proptest! {
        /// Things 0 and 1 are blobs, 2 and 3 layers with tars of known size, 4 and 5 other layers.
        #[test]
        fn fault_c11_the_total_never_falls_and_counts_nothing_twice(
            steps in proptest::collection::vec(step(), 0..60)
        ) {
            let blobs: Vec<Descriptor> = (0..6).map(|n| blob(&n.to_string(), 100 + n)).collect();
            let layers: Vec<PendingLayer> = (0..6).map(|n| pending(300 + n)).collect();
            let subject = |n: usize| match n {
                0 | 1 => Subject::Content(&blobs[n]),
                _ => Subject::Layer(&layers[n]),
            };
            let error = Error::new(ErrorKind::Interrupted, "cut off");
            let again = Retry { tries: 1, wait: Duration::ZERO, error: &error };
            let (mut tally, mut before) = (Tally::default(), 0);
            let mut moved = [None; 6];
            let mut done = [false; 6];
            // No made layer is larger than this when it counts by its bytes.
            let most = 100 + 101 + 302 + 303 + 2 * 60 * 50 + 2 * 105;
            let mut tell = |event: &Event<'_>| {
                tally.on(event);
                let (complete, total) = (tally.complete(), tally.total());
                prop_assert!(total >= before, "{event:?}: {total} after {before}");
                prop_assert!(complete <= total, "{event:?}: {complete} of {total}");
                prop_assert!(total <= most, "{event:?}: {total}");
                before = total;
                Ok((complete, total))
            };
            tell(&Event::Expected(&layers[2]))?;
            tell(&Event::Expected(&layers[3]))?;
            tell(&Event::Planned { bytes: 100 + 101, nodes: 6 })?;
            let finishing = (0..6).map(|n| (n, Step::Finish));
            for (n, step) in steps.into_iter().chain(finishing) {
                if done[n] {
                    continue;
                }
                if moved[n].is_none() {
                    moved[n] = Some(0);
                    tell(&Event::Started(subject(n)))?;
                }
                match step {
                    Step::Move(bytes) => {
                        let position = moved[n].unwrap_or_default() + bytes;
                        moved[n] = Some(position);
                        if n > 1 {
                            tell(&Event::Read(&layers[n], position * 7))?;
                        }
                        tell(&Event::Advanced(subject(n), position))?;
                    }
                    Step::Fail => {
                        moved[n] = None;
                        tell(&Event::Retried(subject(n), &again))?;
                    }
                    Step::Finish => {
                        done[n] = true;
                        if n > 1 {
                            tell(&Event::Joined(&blobs[n]))?;
                        }
                        tell(&Event::Finished(subject(n), &blobs[n], Outcome::Written))?;
                    }
                }
            }
            let config = blob("config", 9);
            tell(&Event::Joined(&config))?;
            let (complete, total) = tell(&finished(&config, Outcome::Written))?;
            prop_assert_eq!(complete, total);
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
