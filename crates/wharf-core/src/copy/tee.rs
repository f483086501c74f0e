//! One reading of a source for several destinations (wire.md O7).
//!
//! Each destination that may need the bytes has a seat, and joins or leaves. When all have decided,
//! the source is read once and each chunk goes to all that joined. The slowest destination sets the
//! pace, because only a few chunks are held. Every wait has a limit, because destinations may wait
//! for each other: one that does not decide, or stalls, continues alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, future, stream};
use tokio::sync::{Notify, mpsc};

use crate::blob::{Blob, ByteStream};
use crate::sync::Lock;
use crate::{Error, ErrorKind, Result, Side};

/// Chunks queued for each destination that joined.
const QUEUE: usize = 2;

/// How long to wait for a destination that stalls, if it can reread the source later.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// The same if it cannot, and so fails.
const LONG_PATIENCE: Duration = Duration::from_secs(90);

type Chunks = mpsc::Sender<Result<Piece>>;

/// A chunk, or the end. A channel that closes without the end has left its destination behind.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    Bytes(Bytes),
    End,
}

/// How long to wait for a slow destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// Briefly: the bytes can be read again.
    LeavesBehind,
    /// Long: the bytes come only once.
    Patient,
}

impl Pace {
    fn patience(self) -> Duration {
        match self {
            Pace::LeavesBehind => PATIENCE,
            Pace::Patient => LONG_PATIENCE,
        }
    }
}

/// A shared reading.
#[derive(Debug)]
pub(super) struct Tee {
    state: Lock<State>,
    decided: Notify,
}

#[derive(Debug)]
struct State {
    undecided: usize,
    joined: Vec<Chunks>,
    /// Whether the reading has begun and it is too late to join.
    closed: bool,
}

/// The seat of one destination at a shared reading.
#[derive(Debug)]
pub(super) struct Seat {
    /// `None`: nothing is shared.
    tee: Option<Arc<Tee>>,
    decided: AtomicBool,
}

impl Tee {
    /// A shared reading for `count` destinations. A single destination reads without it.
    pub(super) fn with_seats(count: usize) -> (Arc<Self>, Vec<Arc<Seat>>) {
        let tee = Arc::new(Tee {
            state: Lock::new(State {
                undecided: if count > 1 { count } else { 0 },
                joined: Vec::new(),
                closed: false,
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

    /// Reads what `open` returns, once all have decided; nothing if none joined.
    pub(super) async fn pump(&self, pace: Pace, open: BoxFuture<'_, Result<ByteStream>>) {
        // Bounded, because destinations may wait for each other.
        let joined = tokio::time::timeout(pace.patience(), self.all_decided()).await;
        let mut joined = joined.unwrap_or_else(|_| self.close());
        if joined.is_empty() {
            return;
        }
        let mut stream = match open.await {
            Ok(stream) => stream,
            Err(error) => return fail(joined, error).await,
        };
        while let Some(chunk) = stream.next().await {
            match chunk {
                Ok(chunk) => joined = give(joined, &Piece::Bytes(chunk), pace).await,
                Err(error) => return fail(joined, error).await,
            }
            if joined.is_empty() {
                return;
            }
        }
        give(joined, &Piece::End, pace).await;
    }

    async fn all_decided(&self) -> Vec<Chunks> {
        loop {
            let decided = self.decided.notified();
            if self.state.lock().undecided == 0 {
                return self.close();
            }
            decided.await;
        }
    }

    /// Closes the reading: a destination that has not decided continues alone.
    fn close(&self) -> Vec<Chunks> {
        let mut state = self.state.lock();
        state.closed = true;
        std::mem::take(&mut state.joined)
    }

    /// Records a decision. Returns false if it is too late.
    fn decide(&self, joining: Option<Chunks>) -> bool {
        let mut state = self.state.lock();
        if state.closed {
            return false;
        }
        state.joined.extend(joining);
        state.undecided = state.undecided.saturating_sub(1);
        drop(state);
        // There is a single waiter; the permit is stored if it does not wait yet.
        self.decided.notify_one();
        true
    }
}

/// Sends a piece to all destinations. Drops those that are gone or too slow.
async fn give(joined: Vec<Chunks>, piece: &Piece, pace: Pace) -> Vec<Chunks> {
    let giving = joined.into_iter().map(|one| async move {
        let sent = one.send_timeout(Ok(piece.clone()), pace.patience());
        sent.await.is_ok().then_some(one)
    });
    let left = future::join_all(giving).await;
    left.into_iter().flatten().collect()
}

/// Sends the error to all destinations.
async fn fail(joined: Vec<Chunks>, error: Error) {
    let error = error.side(Side::Source);
    let telling = joined.iter().map(|one| {
        // A destination that takes nothing is gone, or sees that its channel closed.
        one.send_timeout(Err(error.clone()), PATIENCE)
    });
    future::join_all(telling).await;
}

impl Seat {
    /// A seat of a single destination.
    pub(super) fn alone() -> Arc<Self> {
        Arc::new(Seat {
            tee: None,
            decided: AtomicBool::new(true),
        })
    }

    /// Joins the shared reading. `None` if this seat was used or left before, or it is too late.
    pub(super) fn join(&self) -> Option<mpsc::Receiver<Result<Piece>>> {
        let tee = self.first()?;
        let (sender, receiver) = mpsc::channel(QUEUE);
        tee.decide(Some(sender)).then_some(receiver)
    }

    /// Declines the shared bytes.
    pub(super) fn leave(&self) {
        if let Some(tee) = self.first() {
            tee.decide(None);
        }
    }

    fn first(&self) -> Option<&Tee> {
        let tee = self.tee.as_deref()?;
        (!self.decided.swap(true, Ordering::AcqRel)).then_some(tee)
    }

    /// `blob`, with its first read from offset 0 taken from the shared reading.
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

/// The shared bytes, and the rest from `blob` itself if they end too early.
fn followed(chunks: mpsc::Receiver<Result<Piece>>, blob: Blob) -> ByteStream {
    enum Reading {
        Shared(mpsc::Receiver<Result<Piece>>),
        Alone(ByteStream),
    }
    let state = (Reading::Shared(chunks), blob, 0u64);
    stream::try_unfold(state, |(mut reading, blob, position)| async move {
        if let Reading::Shared(chunks) = &mut reading {
            match chunks.recv().await.transpose()? {
                Some(Piece::Bytes(chunk)) => {
                    let position = position + chunk.len() as u64;
                    return Ok(Some((chunk, (reading, blob, position))));
                }
                Some(Piece::End) => return Ok(None),
                None if position >= blob.descriptor().size => return Ok(None),
                None => {}
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

/// The shared bytes only. An error if they end too early.
pub(super) fn shared(chunks: mpsc::Receiver<Result<Piece>>) -> ByteStream {
    stream::try_unfold(Some(chunks), |chunks| async move {
        let Some(mut chunks) = chunks else {
            return Ok(None);
        };
        match chunks.recv().await.transpose()? {
            Some(Piece::Bytes(chunk)) => Ok(Some((chunk, Some(chunks)))),
            Some(Piece::End) => Ok(None),
            None => {
                let message = "was too slow for the other destinations, which continued without it";
                Err(Error::new(ErrorKind::Interrupted, message))
            }
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures::TryStreamExt;
    use wharf_oci::{Descriptor, Digest, MediaType};

    use super::*;

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

    #[tokio::test(start_paused = true)]
    async fn o7_one_who_never_decides_is_not_waited_for_and_goes_alone_later() {
        let (blob, opened) = counting();
        let (tee, seats) = Tee::with_seats(2);
        let late = async {
            tokio::time::sleep(PATIENCE * 20).await;
            read(&seats[0].share(&blob)).await.unwrap()
        };
        let shared = seats[1].share(&blob);
        let quick = async { read(&shared).await.unwrap() };
        let ((), late, quick) = tokio::join!(pump(&tee, &blob), late, quick);
        assert_eq!((late, quick), (b"abcdefgh".to_vec(), b"abcdefgh".to_vec()));
        assert_eq!(opened.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn o7_bytes_that_cannot_be_had_alone_do_not_end_as_if_they_were_whole() {
        let (blob, _) = counting();
        let (tee, seats) = Tee::with_seats(2);
        let mut slow = shared(seats[0].join().unwrap());
        let quick = shared(seats[1].join().unwrap()).try_collect::<Vec<Bytes>>();
        let slow = async {
            slow.next().await.unwrap().unwrap();
            tokio::time::sleep(LONG_PATIENCE * 20).await;
            slow.try_collect::<Vec<Bytes>>().await
        };
        let patient = tee.pump(Pace::Patient, blob.open(0).boxed());
        let ((), slow, quick) = tokio::join!(patient, slow, quick);
        assert_eq!(quick.unwrap().concat(), b"abcdefgh");
        assert_eq!(slow.unwrap_err().kind(), ErrorKind::Interrupted);
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
