//! The future of an answer.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http_body::Body;

use crate::body::CacheBody;

type Answer<B, E> = Result<Response<CacheBody<B>>, E>;

/// The future of an answer. A hit in memory is in it from the start, without an allocation.
pub struct ResponseFuture<B: Body<Data = Bytes> + 'static, E>(State<B, E>);

enum State<B: Body<Data = Bytes> + 'static, E> {
    Ready(Option<Response<CacheBody<B>>>),
    Working(Pin<Box<dyn Future<Output = Answer<B, E>> + Send>>),
}

impl<B: Body<Data = Bytes> + 'static, E> ResponseFuture<B, E> {
    pub(crate) const fn ready(response: Response<CacheBody<B>>) -> Self {
        Self(State::Ready(Some(response)))
    }

    pub(crate) fn working(work: impl Future<Output = Answer<B, E>> + Send + 'static) -> Self {
        Self(State::Working(Box::pin(work)))
    }
}

// The answer is moved, never pinned.
impl<B: Body<Data = Bytes> + 'static, E> Unpin for ResponseFuture<B, E> {}

impl<B: Body<Data = Bytes> + 'static, E> Future for ResponseFuture<B, E> {
    type Output = Answer<B, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer<B, E>> {
        match &mut self.0 {
            State::Ready(response) => response
                .take()
                .map_or(Poll::Pending, |response| Poll::Ready(Ok(response))),
            State::Working(work) => work.as_mut().poll(cx),
        }
    }
}

impl<B: Body<Data = Bytes> + 'static, E> fmt::Debug for ResponseFuture<B, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            State::Ready(_) => "ResponseFuture(ready)",
            State::Working(_) => "ResponseFuture(working)",
        })
    }
}
