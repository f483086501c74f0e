//! The body of an answer, and what lasts as long as it does.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use hyper::body::{Body, Frame, SizeHint};
use wharf_core::Error;

use super::activity::UnderWay;
use super::respond::{Answer, Code, Refusal, ResponseBody, refuse};
use crate::budget::{Budgets, Portion};

/// The body of an answer. The request is under way until it is sent, or given up.
#[derive(Debug)]
pub(super) struct Lasting {
    body: ResponseBody,
    _portion: Option<Arc<Portion>>,
    _under_way: UnderWay,
}

impl Lasting {
    pub(super) fn of(mut answer: Answer, under_way: UnderWay) -> Response<Self> {
        let portion = answer.extensions_mut().remove();
        answer.map(|body| Lasting {
            body,
            _portion: portion,
            _under_way: under_way,
        })
    }
}

/// How much of the budget for work a list takes while it is made.
const LIST: u64 = 1 << 20;

/// Makes an answer with a list within the budgets: few are made at a time, and a large one is kept
/// only while its client reads it.
pub(super) async fn listed(
    budgets: &Budgets,
    making: impl Future<Output = Result<Answer, Box<Refusal>>>,
) -> Result<Answer, Box<Refusal>> {
    let busy = |error| refuse(error, Code::Unknown);
    let _work = budgets.work.take(LIST).await.map_err(busy)?;
    let mut answer = making.await?;
    let size = answer.body().size_hint().lower();
    if let Some(portion) = budgets.held.try_take(size).map_err(busy)? {
        answer.extensions_mut().insert(Arc::new(portion));
    }
    Ok(answer)
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
