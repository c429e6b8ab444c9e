//! Collecting a body that is short, by its own account.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

/// What came of collecting a body.
pub(crate) enum Collected<B: Body<Data = Bytes>> {
    /// All of it.
    Whole(Bytes),
    /// It is longer than it said or than is kept, or it has trailers; nothing of it is lost.
    Long(Replay<B>),
    /// It broke off; the client gets what there was, and then the error.
    Broken(Replay<B>),
}

/// What was read of a body, and then its rest.
pub(crate) struct Replay<B: Body<Data = Bytes>> {
    read: VecDeque<Result<Frame<Bytes>, B::Error>>,
    rest: Option<Pin<Box<B>>>,
}

/// Reads a body to its end, or until it turns out to be longer than `limit`.
pub(crate) async fn collect<B: Body<Data = Bytes>>(body: B, limit: usize) -> Collected<B> {
    let mut body = Box::pin(body);
    let mut chunks: Vec<Bytes> = Vec::new();
    let mut size = 0;
    loop {
        match poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            None => return Collected::Whole(join(&mut chunks, size)),
            Some(Err(error)) => return Collected::Broken(replay(chunks, Err(error), None)),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(chunk) => {
                    size += chunk.len();
                    if size > limit {
                        let last = Ok(Frame::data(chunk));
                        return Collected::Long(replay(chunks, last, Some(body)));
                    }
                    chunks.push(chunk);
                }
                // Trailers: an answer that has some is not kept.
                Err(frame) => return Collected::Long(replay(chunks, Ok(frame), Some(body))),
            },
        }
    }
}

/// The chunks as one, in memory of their own: a chunk may be a small part of a large buffer, which
/// would live as long as the page.
fn join(chunks: &mut Vec<Bytes>, size: usize) -> Bytes {
    let mut all = BytesMut::with_capacity(size);
    chunks
        .drain(..)
        .for_each(|chunk| all.extend_from_slice(&chunk));
    all.freeze()
}

fn replay<B: Body<Data = Bytes>>(
    chunks: Vec<Bytes>,
    last: Result<Frame<Bytes>, B::Error>,
    rest: Option<Pin<Box<B>>>,
) -> Replay<B> {
    let read = chunks.into_iter().map(|chunk| Ok(Frame::data(chunk)));
    Replay {
        read: read.chain([last]).collect(),
        rest,
    }
}

impl<B: Body<Data = Bytes>> Replay<B> {
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if let Some(frame) = self.read.pop_front() {
            return Poll::Ready(Some(frame));
        }
        match &mut self.rest {
            Some(body) => body.as_mut().poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.read.is_empty() && self.rest.as_ref().is_none_or(|body| body.is_end_stream())
    }

    /// Nothing exact: a body whose promise was wrong once is not asked again.
    pub(super) fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
