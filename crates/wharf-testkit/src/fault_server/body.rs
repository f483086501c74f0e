//! A response body that is sent whole, in slow pieces, or not to its end.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use super::answer::Reply;

#[derive(Debug)]
pub(super) struct ScriptedBody {
    pieces: VecDeque<Bytes>,
    interval: Option<Duration>,
    sleeping: Option<Pin<Box<Sleep>>>,
    end: End,
    /// `None` when the length is not announced here.
    announced: Option<u64>,
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    Whole,
    Cut,
    /// The bytes are on their way; the next poll breaks the connection.
    CutNow,
}

impl ScriptedBody {
    pub(super) fn new(reply: &Reply) -> Self {
        let own_length = reply
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let sent = match reply.cut_after {
            Some(sent) => reply.body.slice(..sent.min(reply.body.len())),
            None => reply.body.clone(),
        };
        let size = reply.trickle.map_or(sent.len().max(1), |(size, _)| size);
        Self {
            pieces: sent
                .chunks(size)
                .map(|piece| sent.slice_ref(piece))
                .collect(),
            interval: reply.trickle.map(|(_, interval)| interval),
            sleeping: None,
            end: if reply.cut_after.is_some() {
                End::Cut
            } else {
                End::Whole
            },
            announced: (!own_length && !reply.chunked).then_some(reply.body.len() as u64),
        }
    }
}

impl Body for ScriptedBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let (Some(interval), false) = (self.interval, self.pieces.is_empty()) {
            let sleeping = self
                .sleeping
                .get_or_insert_with(|| Box::pin(sleep(interval)));
            std::task::ready!(sleeping.as_mut().poll(context));
            self.sleeping = None;
        }
        if let Some(piece) = self.pieces.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match self.end {
            End::Whole => Poll::Ready(None),
            End::Cut => {
                // hyper writes its buffer out only when the body makes it wait.
                self.end = End::CutNow;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            End::CutNow => Poll::Ready(Some(Err(std::io::Error::other("cut as scripted")))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && self.end == End::Whole
    }

    fn size_hint(&self) -> SizeHint {
        self.announced.map(SizeHint::with_exact).unwrap_or_default()
    }
}
