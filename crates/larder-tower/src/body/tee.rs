//! A body that is long, or of unknown length: the client gets each piece as it comes, the cache keeps a copy.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use larder_core::Reason;

use super::copied::Copied;
use super::{Length, OnDisconnect};
use crate::detach;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;
type Polled<E> = Poll<Option<Result<Frame<Bytes>, E>>>;

/// What to do with the copy of a body once it ended.
pub(crate) trait Keep: Send + 'static {
    /// The body is complete.
    fn store(self: Box<Self>, body: Bytes) -> Work;

    /// The body cannot be kept, for this reason.
    fn decline(self: Box<Self>, reason: &Reason);
}

/// How a body is copied.
#[derive(Clone, Copy)]
pub(crate) struct Copying {
    /// The most that is kept, in bytes.
    pub(crate) limit: usize,
    /// How long the answer says that it is.
    pub(crate) length: Length,
    pub(crate) on_disconnect: OnDisconnect,
}

/// A body that is not taken into memory first: the client gets each piece as it comes, the cache keeps
/// a copy.
///
/// When the client goes away the rest is read by a task, so that the store and those who wait get it.
pub(crate) struct Tee<E>(Option<Box<dyn Recording<E>>>);

/// A [`Recorder`] without its body's type, so that dropping a [`Tee`] asks nothing of that type.
trait Recording<E>: Send {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled<E>;
    fn size_hint(&self) -> SizeHint;
    fn is_recording(&self) -> bool;
    fn outlives_its_client(&self) -> bool;
    fn is_end_stream(&self) -> bool;
    fn finish(self: Box<Self>) -> Work;
}

struct Recorder<B> {
    body: Pin<Box<B>>,
    copied: Copied,
    copying: Copying,
    keep: Option<Box<dyn Keep>>,
    storing: Option<Work>,
}

impl<E> Tee<E> {
    pub(crate) fn new<B>(body: B, copying: Copying, keep: Box<dyn Keep>) -> Self
    where
        B: Body<Data = Bytes, Error = E> + Send + 'static,
    {
        Self(Some(Box::new(Recorder {
            body: Box::pin(body),
            copied: Copied::default(),
            copying,
            keep: Some(keep),
            storing: None,
        })))
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled<E> {
        // Taken out while it runs, so that no task goes on with a body that panicked.
        let Some(mut recording) = self.0.take() else {
            return Poll::Ready(None);
        };
        let polled = recording.poll_frame(cx);
        self.0 = Some(recording);
        polled
    }

    /// Not before the copy is stored: who stops at the end of the stream would leave that to a task.
    pub(super) fn is_end_stream(&self) -> bool {
        let done = |all: &dyn Recording<E>| !all.is_recording() && all.is_end_stream();
        self.0.as_deref().is_none_or(done)
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Some(recording) => recording.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}

impl<E> Drop for Tee<E> {
    fn drop(&mut self) {
        if let Some(recording) = self.0.take().filter(|all| all.outlives_its_client()) {
            detach::spawn(recording.finish());
        }
    }
}

impl<B: Body<Data = Bytes> + Send + 'static> Recorder<B> {
    fn decline(&mut self, reason: &Reason) {
        self.copied = Copied::default();
        if let Some(keep) = self.keep.take() {
            keep.decline(reason);
        }
    }

    /// Copies what the client is about to get.
    fn record(&mut self, frame: &Frame<Bytes>) {
        if self.keep.is_none() {
            return;
        }
        let Some(chunk) = frame.data_ref() else {
            // Trailers: an answer that has some is not kept.
            return self.decline(&Reason::Stream);
        };
        if chunk.len() > self.copying.limit - self.copied.size() {
            self.decline(&Reason::TooLarge);
        } else {
            self.copied.push(chunk);
        }
    }

    /// The body came to its end.
    fn ended(&mut self) {
        if !self.copying.length.is(self.copied.size()) {
            return self.decline(&Reason::Failed);
        }
        if let Some(keep) = self.keep.take() {
            self.storing = Some(keep.store(std::mem::take(&mut self.copied).join()));
        }
    }
}

impl<B: Body<Data = Bytes> + Send + 'static> Recording<B::Error> for Recorder<B> {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled<B::Error> {
        loop {
            if let Some(storing) = &mut self.storing {
                ready!(storing.as_mut().poll(cx));
                self.storing = None;
                return Poll::Ready(None);
            }
            let frame = ready!(self.body.as_mut().poll_frame(cx));
            match &frame {
                Some(Ok(frame)) => self.record(frame),
                Some(Err(_)) => self.decline(&Reason::Failed),
                None => {
                    self.ended();
                    if self.storing.is_some() {
                        continue;
                    }
                }
            }
            return Poll::Ready(frame);
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    fn is_recording(&self) -> bool {
        self.keep.is_some() || self.storing.is_some()
    }

    /// A copy that is whole is stored in either case.
    fn outlives_its_client(&self) -> bool {
        let finish = self.copying.on_disconnect == OnDisconnect::Finish;
        self.storing.is_some() || (finish && self.keep.is_some())
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn finish(mut self: Box<Self>) -> Work {
        Box::pin(async move {
            while self.is_recording() {
                if !matches!(poll_fn(|cx| self.poll_frame(cx)).await, Some(Ok(_))) {
                    break;
                }
            }
        })
    }
}
