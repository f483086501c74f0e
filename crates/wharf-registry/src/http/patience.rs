//! A connection to a client that must keep reading. A client that reads nothing for a long time is
//! disconnected: it would occupy one of the connections for ever.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::activity::Activity;

/// A stream on which every write must make progress within a limit. It reports what it moves.
#[derive(Debug)]
pub(super) struct Patience<S> {
    stream: S,
    activity: Arc<Activity>,
    waiting: Waiting,
    deadline: Pin<Box<Sleep>>,
}

/// Whether a write waits for the peer, so that the deadline counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    No,
    Yes,
}

impl<S> Patience<S> {
    pub(super) fn new(stream: S, activity: Arc<Activity>) -> Self {
        Patience {
            stream,
            waiting: Waiting::No,
            deadline: Box::pin(sleep(activity.limits().write)),
            activity,
        }
    }

    fn note(&self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = written {
            self.activity.sent(*bytes);
        }
    }

    /// Returns the result of a write, or an error once the client accepted nothing for too long.
    fn judge<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            if self.waiting == Waiting::Yes {
                self.waiting = Waiting::No;
                self.activity.sends(false);
            }
            return written;
        }
        if self.waiting == Waiting::No {
            self.waiting = Waiting::Yes;
            self.activity.sends(true);
            // A limit beyond the end of time is never reached.
            let end = Instant::now().checked_add(self.activity.limits().write);
            if let Some(end) = end {
                self.deadline.as_mut().reset(end);
            }
        }
        self.deadline.as_mut().poll(context).map(|()| {
            let message = "the peer reads nothing of the answer";
            Err(io::Error::new(io::ErrorKind::TimedOut, message))
        })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patience<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.activity.received(buffer.filled().len() - before);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patience<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(&written);
        self.judge(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note(&written);
        self.judge(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.judge(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.judge(shut, context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    use std::time::Duration;

    use super::super::limits::Limits;

    const LIMIT: Duration = Duration::from_secs(60);

    fn activity() -> Arc<Activity> {
        Activity::new(Limits {
            write: LIMIT,
            ..Limits::default()
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_nothing_is_cut_off_after_the_limit() {
        let (ours, theirs) = duplex(16);
        let mut stream = Patience::new(ours, activity());
        let begun = Instant::now();
        let error = stream.write_all(&[7; 100]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed(), LIMIT);
        drop(theirs);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_peer_is_served_to_the_end() {
        let (ours, mut theirs) = duplex(16);
        let writing = tokio::spawn(async move {
            let mut stream = Patience::new(ours, activity());
            stream.write_all(&[7; 200]).await
        });
        let mut buffer = [0; 8];
        for _ in 0..25 {
            sleep(LIMIT - Duration::from_secs(1)).await;
            theirs.read_exact(&mut buffer).await.unwrap();
            assert_eq!(buffer, [7; 8]);
        }
        writing.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_is_asked_nothing_may_be_silent() {
        let (ours, mut theirs) = duplex(16);
        let mut stream = Patience::new(ours, activity());
        sleep(2 * LIMIT).await;
        stream.write_all(b"late").await.unwrap();
        let mut buffer = [0; 4];
        theirs.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"late");
    }
}
