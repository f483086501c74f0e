//! A row for each blob that is moving, on a terminal, below the lines that stay.
//!
//! A blob has a row only while it moves, so there are few rows for any number of layers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indicatif::ProgressBar;
use wharf::copy::{Event, Observer, Subject, SubjectKey, Tally};

use super::label::Label;
use super::{plain, words};
use crate::board::{self, Amount, Board, Place};

/// Draws rows.
#[derive(Debug)]
pub(super) struct Bars {
    board: Board,
    place: Place,
    label: Label,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    tally: Tally,
    bars: HashMap<SubjectKey, Bar>,
}

/// The row of a blob.
#[derive(Debug)]
struct Bar {
    row: ProgressBar,
    amount: Arc<Mutex<Amount>>,
    /// The bytes of its tar count, not those that moved.
    by_tar: bool,
}

impl Bars {
    /// Rows on `board`, each with the prefix `label`.
    pub(super) fn new(board: Board, label: Label) -> Self {
        Bars {
            place: board.begin(),
            board,
            label,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an event, and tells the board.
    fn count(&self, event: &Event<'_>) {
        let mut state = self.state();
        let before = state.tally.complete();
        state.tally.on(event);
        let sums = Amount {
            done: state.tally.complete(),
            total: Some(state.tally.total()),
        };
        drop(state);
        let moved = match event {
            Event::Advanced(..) | Event::Read(..) => sums.done.saturating_sub(before),
            _ => 0,
        };
        self.board.sums(self.place, sums, moved);
    }

    fn start(&self, subject: Subject<'_>) {
        let total = match subject {
            Subject::Content(blob) => Some(blob.size),
            Subject::Layer(layer) => layer.size(),
        };
        let key = subject.key();
        self.end(&key);
        let amount = Arc::new(Mutex::new(Amount { done: 0, total }));
        let (name, shown) = (
            self.label.before(&words::subject(subject)),
            Arc::clone(&amount),
        );
        let text = move |width| board::blob(&name, *lock(&shown), width);
        let bar = Bar {
            row: self.board.add(text),
            amount,
            by_tar: matches!(subject, Subject::Layer(_)) && total.is_some(),
        };
        bar.row.tick();
        self.state().bars.insert(key, bar);
    }

    fn advance(&self, key: &SubjectKey, position: u64, of_tar: bool) {
        let state = self.state();
        let bar = state.bars.get(key).filter(|bar| bar.by_tar == of_tar);
        let row = bar.map(|bar| {
            lock(&bar.amount).done = position;
            bar.row.clone()
        });
        drop(state);
        if let Some(row) = row {
            row.tick();
        }
    }

    /// Removes the row of a blob, if it has one.
    fn end(&self, key: &SubjectKey) {
        let bar = self.state().bars.remove(key);
        if let Some(bar) = bar {
            self.board.remove(&bar.row);
        }
    }

    /// Removes all rows, so that a failed or cancelled copy leaves a clean terminal.
    fn end_all(&self) {
        let keys: Vec<SubjectKey> = self.state().bars.keys().cloned().collect();
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
                self.advance(&subject.key(), position, false);
            }
            Event::Read(layer, bytes) => {
                self.advance(&Subject::Layer(layer).key(), bytes, true);
            }
            // While it waits for its next try another blob moves.
            Event::Retried(subject, _) | Event::Finished(subject, ..) => self.end(&subject.key()),
            Event::Dropped(blob) => self.end(&Subject::Content(blob).key()),
            Event::Failed(_) => self.end_all(),
            _ => {}
        }
        self.count(&event);
        if let Some(line) = plain::line(&event) {
            // The owner of the rows must print lines between them.
            self.board.println(&self.label.before(&line));
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.end_all();
        self.board.end();
    }
}

fn lock(amount: &Mutex<Amount>) -> MutexGuard<'_, Amount> {
    amount.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wharf::copy::Retry;
    use wharf::store::Outcome;
    use wharf::{Error, ErrorKind};
    use wharf_oci::{Descriptor, Digest, MediaType};

    use super::*;
    use crate::board::fake::Fake;

    fn layer(number: u64) -> Descriptor {
        let digest = Digest::of(&number.to_be_bytes());
        Descriptor::new(MediaType::OCI_LAYER_GZIP, digest, 10_000_000)
    }

    #[test]
    fn p2_only_what_moves_has_a_row() {
        let bars = Bars::new(Fake::new(80).board(), Label::default());
        let error = Error::new(ErrorKind::Interrupted, "cut off");
        let again = Retry {
            tries: 1,
            wait: Duration::ZERO,
            error: &error,
        };
        for number in 0_u64..300 {
            let blob = layer(number);
            bars.on(Event::Started((&blob).into()));
            bars.on(Event::Advanced((&blob).into(), 5));
            assert_eq!(bars.state().bars.len(), 1);
            match number % 3 {
                0 => bars.on(Event::Retried((&blob).into(), &again)),
                1 => bars.on(Event::Finished((&blob).into(), &blob, Outcome::Existed)),
                _ => bars.on(Event::Finished((&blob).into(), &blob, Outcome::Written)),
            }
            assert_eq!(bars.state().bars.len(), 0);
        }
    }

    #[test]
    fn fault_c12_rows_fit_and_the_last_one_is_about_everything() {
        for width in [20, 21, 30, 39, 40, 59, 60, 80, 119, 160, 200] {
            let fake = Fake::new(width);
            let board = fake.board();
            let labels = ["r.example/team/app", "registry.example:5000/other/app"];
            let bars = labels.map(|name| Bars::new(board.clone(), Label::of(name)));
            let blobs = [layer(1), layer(2)];
            for bars in &bars {
                bars.on(Event::Planned {
                    bytes: 20_000_000,
                    nodes: 2,
                });
                for blob in &blobs {
                    bars.on(Event::Started(blob.into()));
                    bars.on(Event::Advanced(blob.into(), 5_000_000));
                }
            }
            let lines = fake.lines();
            assert_eq!(lines.len(), 5, "{width}: {lines:?}");
            assert!(lines[4].starts_with("total"), "{width}: {lines:?}");
            for line in &lines {
                assert!(line.contains("50%"), "{width}: {lines:?}");
            }
            // Nothing stays of rows.
            bars.into_iter().for_each(drop);
            assert_eq!(fake.lines(), Vec::<String>::new(), "{width}");
        }
    }

    #[test]
    fn fault_b13_rows_are_gone_when_the_command_is_stopped() {
        let fake = Fake::new(80);
        let board = fake.board();
        let bars = Bars::new(board.clone(), Label::default());
        let blob = layer(1);
        bars.on(Event::Started((&blob).into()));
        bars.on(Event::Advanced((&blob).into(), 5));
        assert_eq!(fake.lines().len(), 2);
        board.close();
        assert_eq!(fake.lines(), Vec::<String>::new());
        // A connection that is being closed takes one more chunk.
        bars.on(Event::Advanced((&blob).into(), 6));
        assert_eq!(fake.lines(), Vec::<String>::new());
        assert!(!board.println("interrupted"));
    }
}
