//! The task that fills a [`Flow`], and the bodies of those who read it.

use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use larder_core::{Clock, Reason};

use super::OnDisconnect;
use super::flow::{Fill, Flow, Read, Reader};
use super::tee::{Copying, Keep};
use crate::detach;

/// The body that a client joined broke off: its origin failed, or was left by the client that led, or
/// this client read so slowly that what it wanted is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamBroken;

impl fmt::Display for StreamBroken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stream broken: the answer that this request joined broke off")
    }
}

impl std::error::Error for StreamBroken {}

/// The error of a body that somebody else's load broke off; `None` for types that it cannot be made
/// of, whose bodies are not joined.
pub(crate) fn broken<E: 'static>() -> Option<E> {
    let mut made: Option<E> = None;
    let place: &mut dyn Any = &mut made;
    #[cfg(feature = "axum")]
    if let Some(place) = place.downcast_mut() {
        *place = Some(axum::Error::new(StreamBroken));
        return made;
    }
    type Boxed = Box<dyn std::error::Error + Send + Sync>;
    if let Some(place) = place.downcast_mut::<Option<Boxed>>() {
        *place = Some(Box::new(StreamBroken));
    } else if let Some(place) = place.downcast_mut() {
        *place = Some(io::Error::other(StreamBroken));
    }
    made
}

/// The error of the origin's body, for the client that led.
type Error<E> = Arc<Mutex<Option<E>>>;

/// The body of a client that reads a [`Flow`].
pub(crate) struct Stream<E> {
    reader: Reader,
    /// Of the client that led: it gets the origin's own error.
    error: Option<Error<E>>,
}

impl<E: 'static> Stream<E> {
    /// The body of a client that joined.
    pub(crate) const fn joined(reader: Reader) -> Self {
        Self {
            reader,
            error: None,
        }
    }

    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, E>>> {
        Poll::Ready(match ready!(self.reader.poll_read(cx)) {
            Read::Data(piece) => Some(Ok(Frame::data(piece))),
            Read::Trailers(trailers) => Some(Ok(Frame::trailers(trailers))),
            Read::End => None,
            Read::Broken => self.own_error().or_else(broken).map(Err),
        })
    }

    fn own_error(&self) -> Option<E> {
        let error = self.error.as_ref()?;
        error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.reader.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.reader
            .left()
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// Fills a flow from the body of an answer.
struct Filler<B: Body> {
    body: Pin<Box<B>>,
    flow: Arc<Flow>,
    error: Error<B::Error>,
    clock: Arc<dyn Clock>,
    copying: Copying,
    keep: Option<Box<dyn Keep>>,
}

/// Starts a task that fills a flow from `body`. `keep` is made once the flow is there, and before
/// anything of it is read. Answers with the body of the client that leads.
pub(crate) fn fill<B>(
    body: B,
    copying: Copying,
    clock: Arc<dyn Clock>,
    keep: impl FnOnce(&Arc<Flow>) -> Box<dyn Keep>,
) -> Stream<B::Error>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Send,
{
    let flow = Flow::new(copying.limit, body.size_hint().exact(), clock.now());
    let leader = Stream {
        reader: flow.lead(),
        error: Some(Arc::default()),
    };
    let filler = Filler {
        body: Box::pin(body),
        keep: Some(keep(&flow)),
        error: leader.error.clone().unwrap_or_default(),
        flow,
        clock,
        copying,
    };
    detach::spawn(filler.run());
    leader
}

/// What the origin gave, or that nobody wants it.
enum Next<E> {
    Frame(Option<Result<Frame<Bytes>, E>>),
    Unwanted,
}

impl<B> Filler<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Send,
{
    async fn run(mut self) {
        // Whatever ends this task, a panic of the body too, nobody waits for more.
        let ends = Ends(Arc::clone(&self.flow));
        loop {
            match poll_fn(|cx| self.next(cx)).await {
                // The permit goes with it: one of those who wait loads in its place.
                Next::Unwanted => break,
                Next::Frame(Some(Ok(frame))) => {
                    if self.take(frame) {
                        break;
                    }
                }
                Next::Frame(Some(Err(error))) => {
                    *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    self.decline(&Reason::Failed);
                    break;
                }
                Next::Frame(None) => {
                    self.store().await;
                    self.flow.complete();
                    break;
                }
            }
        }
        drop(ends);
    }

    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Next<B::Error>> {
        let abandons = self.copying.on_disconnect == OnDisconnect::Abandon;
        match self.flow.next(abandons, cx) {
            Fill::Stop => Poll::Ready(Next::Unwanted),
            Fill::Wait => Poll::Pending,
            Fill::On => self.body.as_mut().poll_frame(cx).map(Next::Frame),
        }
    }

    /// Takes what has come; answers whether it was the last.
    fn take(&mut self, frame: Frame<Bytes>) -> bool {
        match frame.into_data() {
            Ok(chunk) => {
                if !self.flow.push(&chunk, self.clock.now()) {
                    self.decline(&Reason::TooLarge);
                }
                false
            }
            Err(frame) => {
                // An answer with trailers is not kept.
                self.decline(&Reason::Stream);
                let trailers = frame.into_trailers().unwrap_or_default();
                self.flow.trailers(trailers);
                true
            }
        }
    }

    async fn store(&mut self) {
        if !self.copying.length.is(self.flow.size()) {
            self.decline(&Reason::Failed);
        }
        if let Some(keep) = self.keep.take() {
            keep.store(self.flow.whole()).await;
        }
    }

    fn decline(&mut self, reason: &Reason) {
        if let Some(keep) = self.keep.take() {
            keep.decline(reason);
            self.flow.give_up();
        }
    }
}

/// Breaks a flow off, unless it has ended.
struct Ends(Arc<Flow>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.break_off();
    }
}

impl<E> fmt::Debug for Stream<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}
