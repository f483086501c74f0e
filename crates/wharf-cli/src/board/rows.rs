//! The rows on a terminal: one for each blob that moves, and below them one for everything.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::pace::Pace;
use super::row::{self, Amount, Speed};

/// All rows of a command. Clones share them.
#[derive(Clone)]
pub(crate) struct Board {
    rows: MultiProgress,
    width: Arc<dyn Fn() -> usize + Send + Sync>,
    tick: Option<Duration>,
    all: Arc<Mutex<All>>,
}

/// The state of the row for everything.
#[derive(Debug, Default)]
struct All {
    /// Present while anything is under way.
    row: Option<ProgressBar>,
    /// The sums of each copy.
    copies: HashMap<usize, Amount>,
    next: usize,
    /// Copies under way.
    under_way: usize,
    pace: Pace,
}

/// The number of a copy on the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place(usize);

/// How often the row for everything is drawn anew, also if nothing happens: then the rate falls.
const TICK: Duration = Duration::from_millis(250);

/// Where the width of a terminal is not known.
const USUAL_WIDTH: usize = 80;

impl Board {
    /// The rows on standard error.
    pub(crate) fn new() -> Self {
        let width = || match Term::stderr().size_checked() {
            Some((_, columns)) => usize::from(columns),
            None => USUAL_WIDTH,
        };
        Board {
            rows: MultiProgress::new(),
            width: Arc::new(width),
            tick: Some(TICK),
            all: Arc::default(),
        }
    }

    /// Prints a line above the rows. Whether that was possible; the line may have failed.
    pub(crate) fn println(&self, line: &str) -> bool {
        let shown = !self.rows.is_hidden();
        if shown {
            // An error here has no place to be printed.
            let _ = self.rows.println(line);
        }
        shown
    }

    /// Removes all rows for good.
    pub(crate) fn close(&self) {
        let _ = self.rows.clear();
        self.rows.set_draw_target(ProgressDrawTarget::hidden());
    }

    /// A copy begins.
    pub(crate) fn begin(&self) -> Place {
        let mut all = self.all();
        let place = all.next;
        all.next += 1;
        all.under_way += 1;
        Place(place)
    }

    /// It has ended.
    pub(crate) fn end(&self) {
        let mut all = self.all();
        all.under_way = all.under_way.saturating_sub(1);
        let row = match all.under_way {
            0 => all.row.take(),
            _ => None,
        };
        // Drawing takes the lock.
        drop(all);
        if let Some(row) = row {
            row.finish_and_clear();
            self.rows.remove(&row);
        }
    }

    /// The sums of a copy, and the bytes that moved since it told them last.
    pub(crate) fn sums(&self, place: Place, sums: Amount, moved: u64) {
        let mut all = self.all();
        all.copies.insert(place.0, sums);
        if moved > 0 {
            all.pace.add(moved, Instant::now());
        }
        let row = all.row.clone();
        drop(all);
        if let Some(row) = row {
            row.tick();
        }
    }

    /// Adds a row with the text of `shown`, for a given width.
    pub(crate) fn add(
        &self,
        shown: impl Fn(usize) -> String + Send + Sync + 'static,
    ) -> ProgressBar {
        self.show_all();
        let row = self.rows.insert_from_back(1, ProgressBar::no_length());
        row.set_style(self.style(shown));
        row
    }

    /// Removes a row.
    pub(crate) fn remove(&self, row: &ProgressBar) {
        row.finish_and_clear();
        self.rows.remove(row);
    }

    fn show_all(&self) {
        let mut all = self.all();
        if all.row.is_some() {
            return;
        }
        let row = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        all.row = Some(row.clone());
        // Drawing takes the lock.
        drop(all);
        let all = Arc::clone(&self.all);
        row.set_style(self.style(move |width| lock(&all).text(Instant::now(), width)));
        let row = self.rows.add(row);
        if let Some(tick) = self.tick {
            row.enable_steady_tick(tick);
        }
    }

    fn style(&self, shown: impl Fn(usize) -> String + Send + Sync + 'static) -> ProgressStyle {
        let (width, shown) = (Arc::clone(&self.width), Arc::new(shown));
        let write = move |_: &ProgressState, to: &mut dyn fmt::Write| {
            let _ = to.write_str(&shown(width()));
        };
        let style = ProgressStyle::with_template("{row}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        style.with_key("row", write)
    }

    fn all(&self) -> MutexGuard<'_, All> {
        lock(&self.all)
    }
}

fn lock(all: &Mutex<All>) -> MutexGuard<'_, All> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

impl All {
    fn text(&mut self, now: Instant, width: usize) -> String {
        let (mut done, mut total) = (0_u64, 0_u64);
        for sums in self.copies.values() {
            done = done.saturating_add(sums.done);
            total = total.saturating_add(sums.total.unwrap_or_default());
        }
        let rate = self.pace.rate(now);
        let missing = total.saturating_sub(done);
        let left = rate.and_then(|rate| missing.checked_div(rate));
        let speed = Speed {
            rate,
            left: left.map(Duration::from_secs),
        };
        let amount = Amount {
            done,
            total: Some(total),
        };
        row::all("total", amount, speed, width)
    }
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board")
            .field("all", &self.all)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod fake {
    //! A terminal that remembers what it shows.

    use std::io;

    use indicatif::TermLike;

    use super::*;

    /// Clones share the screen.
    #[derive(Clone, Debug)]
    pub(crate) struct Fake(Arc<Mutex<Shown>>);

    #[derive(Debug)]
    struct Shown {
        width: usize,
        /// The cells of each row; a wide letter fills two.
        rows: Vec<Vec<String>>,
        row: usize,
        column: usize,
    }

    impl Fake {
        pub(crate) fn new(width: usize) -> Self {
            Fake(Arc::new(Mutex::new(Shown {
                width,
                rows: Vec::new(),
                row: 0,
                column: 0,
            })))
        }

        /// A board on this terminal, which draws at once.
        pub(crate) fn board(&self) -> Board {
            let target = ProgressDrawTarget::term_like(Box::new(self.clone()));
            let width = self.shown().width;
            let rows = MultiProgress::with_draw_target(target);
            Board {
                rows,
                width: Arc::new(move || width),
                tick: None,
                all: Arc::default(),
            }
        }

        /// The lines that are not empty.
        pub(crate) fn lines(&self) -> Vec<String> {
            let shown = self.shown();
            let lines = shown.rows.iter().map(|cells| cells.concat());
            let lines = lines.map(|line| line.trim_end().to_owned());
            lines.filter(|line| !line.is_empty()).collect()
        }

        fn shown(&self) -> MutexGuard<'_, Shown> {
            self.0.lock().unwrap()
        }
    }

    impl Shown {
        fn write(&mut self, text: &str) {
            for letter in text.chars() {
                match letter {
                    '\r' => self.column = 0,
                    '\n' => (self.row, self.column) = (self.row + 1, 0),
                    letter => self.put(letter),
                }
            }
        }

        /// A letter beyond the edge goes to the next row.
        fn put(&mut self, letter: char) {
            let columns = match letter.is_ascii() {
                true => 1,
                false => console::measure_text_width(&letter.to_string()),
            };
            if self.column + columns > self.width {
                (self.row, self.column) = (self.row + 1, 0);
            }
            let height = self.rows.len().max(self.row + 1);
            self.rows.resize(height, vec![" ".to_owned(); self.width]);
            let cells = &mut self.rows[self.row];
            for cell in &mut cells[self.column..self.column + columns] {
                cell.clear();
            }
            cells[self.column].push(letter);
            self.column += columns;
        }
    }

    impl TermLike for Fake {
        fn width(&self) -> u16 {
            u16::try_from(self.shown().width).unwrap()
        }

        fn move_cursor_up(&self, n: usize) -> io::Result<()> {
            let mut shown = self.shown();
            shown.row = shown.row.saturating_sub(n);
            Ok(())
        }

        fn move_cursor_down(&self, n: usize) -> io::Result<()> {
            self.shown().row += n;
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.shown().write(&format!("{text}\n"));
            Ok(())
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.shown().write(text);
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            let mut shown = self.shown();
            let (row, width) = (shown.row, shown.width);
            shown.column = 0;
            if let Some(cells) = shown.rows.get_mut(row) {
                *cells = vec![" ".to_owned(); width];
            }
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }
}
