//! A stream of a merged tar into a directory, on a thread of its own.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::beneath::Beneath;
use super::staging::Staging;
use super::writer::Writer;
use crate::blob::ByteStream;
use crate::rootfs::LeftOut;
use crate::stream_reader::read_by;
use crate::verify::blocking;
use crate::{Error, ErrorKind, Result};

/// How long a cancelled call waits until what it wrote is gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// Writes the entries of `tar` into `directory`, which is made or must be empty.
pub(in crate::rootfs) async fn into(tar: ByteStream, directory: &Path) -> Result<LeftOut> {
    let target = directory.to_owned();
    let staging = blocking(move || Staging::new(&target)).await??;
    let (ends, ended) = channel();
    let stop = Stop {
        stopped: Arc::default(),
        ended,
    };
    let stopped = Arc::clone(&stop.stopped);
    let shown = directory.display().to_string();
    let work = move |reader| write(staging, Stoppable { reader, stopped }, ends);
    let written = read_by(tar, work).await;
    drop(stop);
    written.map_err(|error| match error.failed_side() {
        Some(_) => error,
        None => error.target(shown),
    })
}

fn write(staging: Staging, tar: impl Read, ends: Sender<()>) -> Result<LeftOut> {
    // Dropped last, after the new directory is gone or in its place.
    let _ends = ends;
    let opened = |path: &Path| Beneath::open(path).map_err(Error::from);
    let writer = Writer::new(opened(staging.path())?);
    let rest = writer.write(tar)?;
    staging.appear(|root, owned| rest.set(&opened(root)?, owned))
}

/// Ends the thread when it is dropped, and waits for that.
struct Stop {
    stopped: Arc<AtomicBool>,
    ended: Receiver<()>,
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Nothing is sent: the wait ends when the thread does.
        let _ = self.ended.recv_timeout(PATIENCE);
    }
}

/// A reader that fails once it was stopped.
struct Stoppable<R> {
    reader: R,
    stopped: Arc<AtomicBool>,
}

impl<R: Read> Read for Stoppable<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stopped.load(Ordering::Relaxed) {
            let cancelled = Error::new(ErrorKind::Cancelled, "the writing was cancelled");
            return Err(io::Error::other(cancelled));
        }
        self.reader.read(buffer)
    }
}
