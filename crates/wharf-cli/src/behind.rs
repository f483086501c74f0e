//! Lines that a thread of its own writes. A server must not wait for the reader of its log, which may
//! never read: then lines are dropped, and counted.

use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

/// How many lines may wait.
const LINES: usize = 1024;
/// How long the end of a command waits for the last lines.
const LAST: Duration = Duration::from_secs(1);

/// The lines that wait for their thread.
#[derive(Debug)]
pub(crate) struct Behind {
    lines: SyncSender<String>,
    /// Closed once the thread has written all lines.
    written: Receiver<()>,
    /// The number of lines that were dropped since the last one that was not.
    dropped: u64,
}

impl Behind {
    /// Starts the thread; `None` if the system has none left.
    pub(crate) fn start(write: impl Fn(&str) + Send + 'static) -> Option<Self> {
        let (lines, waiting) = sync_channel::<String>(LINES);
        let (done, written) = channel();
        let started = thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                waiting.iter().for_each(|line| write(&line));
                drop::<std::sync::mpsc::Sender<()>>(done);
            });
        started.ok().map(|_| Behind {
            lines,
            written,
            dropped: 0,
        })
    }

    /// Has a line written soon, or drops it. `note` makes the line that tells how many were dropped.
    pub(crate) fn put(&mut self, line: String, note: impl Fn(u64) -> String) {
        if self.dropped > 0 && self.lines.try_send(note(self.dropped)).is_ok() {
            self.dropped = 0;
        }
        if self.dropped > 0 || self.lines.try_send(line).is_err() {
            self.dropped += 1;
        }
    }

    /// Waits a moment until all lines are written.
    pub(crate) fn finish(self) {
        drop(self.lines);
        // The end of the thread is reported as an error, for lack of a message.
        let _ = self.written.recv_timeout(LAST);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Barrier, Mutex};

    use super::*;

    #[test]
    fn fault_xlog_lines_that_wait_are_bounded_and_the_others_counted() {
        let (begun, go_on) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let (mine, writers) = (Arc::clone(&seen), (Arc::clone(&begun), Arc::clone(&go_on)));
        let write = move |line: &str| {
            if line == "first" {
                writers.0.wait();
                writers.1.wait();
            }
            mine.lock().unwrap().push(line.to_owned());
        };
        let mut behind = Behind::start(write).unwrap();
        let note = |dropped| format!("{dropped} dropped");
        behind.put("first".to_owned(), note);
        begun.wait();
        for number in 0..LINES + 10 {
            behind.put(number.to_string(), note);
        }
        go_on.wait();
        while seen.lock().unwrap().len() <= LINES {
            thread::yield_now();
        }
        behind.put("last".to_owned(), note);
        behind.finish();
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), LINES + 3);
        assert_eq!(seen.last().unwrap(), "last");
        assert_eq!(seen[LINES + 1], "10 dropped");
    }
}
