//! The body of an answer, and what lasts as long as it does.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use wharf_core::Error;

use super::activity::UnderWay;
use super::respond::ResponseBody;

/// The body of an answer. The request is under way until it is sent, or given up.
#[derive(Debug)]
pub(super) struct Lasting {
    body: ResponseBody,
    _under_way: UnderWay,
}

impl Lasting {
    pub(super) fn new(body: ResponseBody, under_way: UnderWay) -> Self {
        Lasting {
            body,
            _under_way: under_way,
        }
    }
}

impl Body for Lasting {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
