//! One reading of a source for several destinations (PUSH.md O7).
//!
//! Everyone who may want the bytes has a seat, and joins or leaves; when all have decided, the
//! source is read once and each chunk given to all who joined. The slowest sets the pace, as only
//! a few chunks are held; who stands still for too long reads on alone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, future, stream};
use tokio::sync::{Notify, mpsc};

use crate::blob::{Blob, ByteStream};
use crate::{Error, Result, Side};

/// Chunks that wait for each of those who joined.
const QUEUE: usize = 2;

/// How long the others wait for one who takes nothing, where that one can read on alone.
const PATIENCE: Duration = Duration::from_secs(5);

type Chunks = mpsc::Sender<Result<Bytes>>;

/// Whether those who are too slow can be left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// They open the source again where they were.
    LeavesBehind,
    /// The bytes can be had only once: all wait for the slowest.
    OfTheSlowest,
}

/// The reading that is shared.
#[derive(Debug)]
pub(super) struct Tee {
    state: Mutex<State>,
    decided: Notify,
}

#[derive(Debug)]
struct State {
    undecided: usize,
    joined: Vec<Chunks>,
}

/// The place of one destination at a reading.
#[derive(Debug)]
pub(super) struct Seat {
    /// `None`: there is nobody to share with.
    tee: Option<Arc<Tee>>,
    decided: AtomicBool,
}

impl Tee {
    /// A reading for `count` destinations; one alone reads without it.
    pub(super) fn with_seats(count: usize) -> (Arc<Self>, Vec<Arc<Seat>>) {
        let tee = Arc::new(Tee {
            state: Mutex::new(State {
                undecided: if count > 1 { count } else { 0 },
                joined: Vec::new(),
            }),
            decided: Notify::new(),
        });
        let seat = |_| {
            Arc::new(Seat {
                tee: (count > 1).then(|| Arc::clone(&tee)),
                decided: AtomicBool::new(count <= 1),
            })
        };
        let seats = (0..count).map(seat).collect();
        (tee, seats)
    }

    /// Reads what `open` gives, once all have decided; nothing, where nobody joined.
    pub(super) async fn pump(&self, pace: Pace, open: BoxFuture<'_, Result<ByteStream>>) {
        let mut joined = loop {
            let decided = self.decided.notified();
            {
                let mut state = self.state();
                if state.undecided == 0 {
                    break std::mem::take(&mut state.joined);
                }
            }
            decided.await;
        };
        if joined.is_empty() {
            return;
        }
        let mut stream = match open.await {
            Ok(stream) => stream,
            Err(error) => return fail(joined, error).await,
        };
        while let Some(chunk) = stream.next().await {
            match chunk {
                Ok(chunk) => joined = give(joined, &chunk, pace).await,
                Err(error) => return fail(joined, error).await,
            }
            if joined.is_empty() {
                return;
            }
        }
    }

    fn decide(&self, joining: Option<Chunks>) {
        let mut state = self.state();
        state.joined.extend(joining);
        state.undecided = state.undecided.saturating_sub(1);
        drop(state);
        // There is one who waits; the permit is kept where it does not wait yet.
        self.decided.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives a chunk to all; those who are gone, or too slow, are left out from then on.
async fn give(joined: Vec<Chunks>, chunk: &Bytes, pace: Pace) -> Vec<Chunks> {
    let giving = joined.into_iter().map(|one| async move {
        let sent = match pace {
            Pace::LeavesBehind => one.send_timeout(Ok(chunk.clone()), PATIENCE).await.is_ok(),
            Pace::OfTheSlowest => one.send(Ok(chunk.clone())).await.is_ok(),
        };
        sent.then_some(one)
    });
    let left = future::join_all(giving).await;
    left.into_iter().flatten().collect()
}

/// Tells all why there is no more.
async fn fail(joined: Vec<Chunks>, error: Error) {
    let error = error.side(Side::Source);
    for one in &joined {
        // Errors are told once; the others hear the same words.
        let copy = Error::new(error.kind(), error.to_string())
            .side(Side::Source)
            .transient(error.is_transient());
        let _ = one.send(Err(copy)).await;
    }
}

impl Seat {
    /// The bytes as they are read for all; `None` where this seat was used or left before.
    pub(super) fn join(&self) -> Option<mpsc::Receiver<Result<Bytes>>> {
        let tee = self.first()?;
        let (sender, receiver) = mpsc::channel(QUEUE);
        tee.decide(Some(sender));
        Some(receiver)
    }

    /// Does not want the bytes, or not now.
    pub(super) fn leave(&self) {
        if let Some(tee) = self.first() {
            tee.decide(None);
        }
    }

    fn first(&self) -> Option<&Tee> {
        let tee = self.tee.as_deref()?;
        (!self.decided.swap(true, Ordering::AcqRel)).then_some(tee)
    }

    /// `blob`, of which the first reading from its beginning is the one that is shared.
    pub(super) fn share(self: &Arc<Self>, blob: &Blob) -> Blob {
        if self.tee.is_none() {
            return blob.clone();
        }
        let (seat, own) = (Arc::clone(self), blob.clone());
        blob.opened_by(move |offset| {
            if offset == 0
                && let Some(chunks) = seat.join()
            {
                let stream = followed(chunks, own.clone());
                return async move { Ok(stream) }.boxed();
            }
            seat.leave();
            let own = own.clone();
            async move { own.open(offset).await }.boxed()
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.leave();
    }
}

/// The shared bytes, and the rest from `blob` itself where they end too early.
fn followed(chunks: mpsc::Receiver<Result<Bytes>>, blob: Blob) -> ByteStream {
    enum Reading {
        Shared(mpsc::Receiver<Result<Bytes>>),
        Alone(ByteStream),
    }
    let state = (Reading::Shared(chunks), blob, 0u64);
    stream::try_unfold(state, |(mut reading, blob, position)| async move {
        if let Reading::Shared(chunks) = &mut reading {
            if let Some(chunk) = chunks.recv().await.transpose()? {
                let position = position + chunk.len() as u64;
                return Ok(Some((chunk, (reading, blob, position))));
            }
            if position >= blob.descriptor().size {
                return Ok(None);
            }
            reading = Reading::Alone(blob.open(position).await?);
        }
        let Reading::Alone(stream) = &mut reading else {
            return Ok(None);
        };
        let chunk = stream.next().await.transpose()?;
        Ok(chunk.map(|chunk| (chunk, (reading, blob, position))))
    })
    .boxed()
}

/// The shared bytes alone.
pub(super) fn shared(chunks: mpsc::Receiver<Result<Bytes>>) -> ByteStream {
    stream::unfold(chunks, |mut chunks| async move {
        let chunk = chunks.recv().await?;
        Some((chunk, chunks))
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures::TryStreamExt;
    use wharf_oci::{Descriptor, Digest, MediaType};

    use super::*;
    use crate::ErrorKind;

    /// A blob of four chunks that counts how often it is opened.
    fn counting() -> (Blob, Arc<AtomicUsize>) {
        let opened = Arc::new(AtomicUsize::new(0));
        let descriptor = Descriptor::new(MediaType::OCTET_STREAM, Digest::of(b"abcdefgh"), 8);
        let counter = Arc::clone(&opened);
        let blob = Blob::new(descriptor, move |offset| {
            counter.fetch_add(1, Ordering::Relaxed);
            let chunks =
                ["ab", "cd", "ef", "gh"].map(|text| Ok(Bytes::from_static(text.as_bytes())));
            let skip = usize::try_from(offset).unwrap() / 2;
            async move { Ok(stream::iter(chunks.into_iter().skip(skip)).boxed()) }.boxed()
        });
        (blob, opened)
    }

    async fn read(blob: &Blob) -> Result<Vec<u8>> {
        let chunks: Vec<Bytes> = blob.open(0).await?.try_collect().await?;
        Ok(chunks.concat())
    }

    async fn pump(tee: &Tee, blob: &Blob) {
        tee.pump(Pace::LeavesBehind, blob.open(0).boxed()).await;
    }

    #[tokio::test]
    async fn o7_a_source_is_read_once_for_all_who_want_it() {
        let (blob, opened) = counting();
        let (tee, seats) = Tee::with_seats(4);
        let readers = future::join_all(seats.into_iter().enumerate().map(|(n, seat)| {
            let blob = seat.share(&blob);
            async move {
                if n == 3 {
                    drop((seat, blob));
                    return None;
                }
                Some(read(&blob).await.unwrap())
            }
        }));
        let ((), read) = tokio::join!(pump(&tee, &blob), readers);
        let whole = Some(b"abcdefgh".to_vec());
        assert_eq!(read, [whole.clone(), whole.clone(), whole, None]);
        assert_eq!(opened.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn o7_one_who_stands_still_does_not_stop_the_others_and_reads_on_alone() {
        let (blob, opened) = counting();
        let (tee, seats) = Tee::with_seats(2);
        let slow = async {
            let mut stream = seats[0].share(&blob).open(0).await.unwrap();
            let first = stream.next().await.unwrap().unwrap();
            tokio::time::sleep(PATIENCE * 20).await;
            let rest: Vec<Bytes> = stream.try_collect().await.unwrap();
            [first.to_vec(), rest.concat()].concat()
        };
        let started = tokio::time::Instant::now();
        let quick = async {
            let all = read(&seats[1].share(&blob)).await.unwrap();
            (all, started.elapsed() < PATIENCE * 3)
        };
        let ((), slow, (quick, in_time)) = tokio::join!(pump(&tee, &blob), slow, quick);
        assert_eq!((slow, quick), (b"abcdefgh".to_vec(), b"abcdefgh".to_vec()));
        assert!(in_time);
        assert_eq!(opened.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn o7_all_hear_of_a_source_that_fails() {
        let (tee, seats) = Tee::with_seats(2);
        let (blob, _) = counting();
        let broken = || async { Err(Error::new(ErrorKind::Corrupt, "torn")) }.boxed();
        let (one, two) = (seats[0].share(&blob), seats[1].share(&blob));
        let ((), one, two) = tokio::join!(
            tee.pump(Pace::LeavesBehind, broken()),
            read(&one),
            read(&two)
        );
        for error in [one.unwrap_err(), two.unwrap_err()] {
            assert_eq!(
                (error.kind(), error.to_string().as_str()),
                (ErrorKind::Corrupt, "torn")
            );
            assert_eq!(error.failed_side(), Some(Side::Source));
        }
    }

    #[tokio::test]
    async fn one_alone_reads_without_any_of_this() {
        let (blob, opened) = counting();
        let (tee, seats) = Tee::with_seats(1);
        pump(&tee, &blob).await;
        for _ in 0..2 {
            assert_eq!(read(&seats[0].share(&blob)).await.unwrap(), b"abcdefgh");
        }
        assert_eq!(opened.load(Ordering::Relaxed), 2);
    }
}
