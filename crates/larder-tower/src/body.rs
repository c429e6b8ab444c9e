//! The body of an answer that went through the cache.

mod collect;
mod copied;
mod fill;
mod flow;
mod length;
mod tee;

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pub(crate) use collect::{Collected, collect};
pub use fill::StreamBroken;
pub(crate) use fill::{Stream, broken, fill};
pub(crate) use flow::Flow;
pub(crate) use length::Length;
pub(crate) use tee::{Copying, Keep, Tee};

use self::collect::Replay;

/// What becomes of a load when its client goes away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDisconnect {
    /// A task finishes it, and the answer is stored: the next one who asks gets it. Without a runtime
    /// of tokio at hand it ends with its client.
    #[default]
    Finish,
    /// It ends: nothing is stored, and one of those who wait for it loads in its place.
    Abandon,
}

pin_project! {
    /// The body of an answer that went through the cache: stored bytes, or the origin's own body.
    ///
    /// It is as `Send` and as little `Sync` as the origin's body.
    pub struct CacheBody<B> where B: Body<Data = Bytes>, B: 'static {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = Projected]
    enum Kind<B> where B: Body<Data = Bytes>, B: 'static {
        Whole { bytes: Bytes },
        // Of an answer that has no body at all: not even one of no bytes, whose length would be told.
        Nothing,
        Origin { #[pin] body: B },
        Tee { tee: Tee<B::Error> },
        Replay { replay: Replay<B> },
        Stream { stream: Stream<B::Error> },
    }
}

impl<B: Body<Data = Bytes> + 'static> CacheBody<B> {
    pub(crate) const fn whole(bytes: Bytes) -> Self {
        Self {
            kind: Kind::Whole { bytes },
        }
    }

    pub(crate) const fn nothing() -> Self {
        Self {
            kind: Kind::Nothing,
        }
    }

    pub(crate) const fn origin(body: B) -> Self {
        Self {
            kind: Kind::Origin { body },
        }
    }

    pub(crate) const fn tee(tee: Tee<B::Error>) -> Self {
        Self {
            kind: Kind::Tee { tee },
        }
    }

    pub(crate) const fn stream(stream: Stream<B::Error>) -> Self {
        Self {
            kind: Kind::Stream { stream },
        }
    }

    pub(crate) const fn replay(replay: Replay<B>) -> Self {
        Self {
            kind: Kind::Replay { replay },
        }
    }
}

impl<B: Body<Data = Bytes> + Send + 'static> Body for CacheBody<B>
where
    B::Error: Send,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            Projected::Nothing => Poll::Ready(None),
            Projected::Whole { bytes } if bytes.is_empty() => Poll::Ready(None),
            Projected::Whole { bytes } => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Projected::Origin { body } => body.poll_frame(cx),
            Projected::Tee { tee } => tee.poll_frame(cx),
            Projected::Replay { replay } => replay.poll_frame(cx),
            Projected::Stream { stream } => stream.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Nothing => true,
            Kind::Whole { bytes } => bytes.is_empty(),
            Kind::Origin { body } => body.is_end_stream(),
            Kind::Tee { tee } => tee.is_end_stream(),
            Kind::Replay { replay } => replay.is_end_stream(),
            Kind::Stream { stream } => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Nothing => SizeHint::default(),
            Kind::Whole { bytes } => SizeHint::with_exact(bytes.len() as u64),
            Kind::Origin { body } => body.size_hint(),
            Kind::Tee { tee } => tee.size_hint(),
            Kind::Replay { replay } => replay.size_hint(),
            Kind::Stream { stream } => stream.size_hint(),
        }
    }
}

/// A body of no bytes.
impl<B: Body<Data = Bytes> + 'static> Default for CacheBody<B> {
    fn default() -> Self {
        Self::whole(Bytes::new())
    }
}

impl<B: Body<Data = Bytes> + 'static> fmt::Debug for CacheBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.kind {
            Kind::Nothing => "CacheBody(nothing)",
            Kind::Whole { .. } => "CacheBody(whole)",
            Kind::Origin { .. } => "CacheBody(origin)",
            Kind::Tee { .. } => "CacheBody(tee)",
            Kind::Replay { .. } => "CacheBody(replay)",
            Kind::Stream { .. } => "CacheBody(stream)",
        })
    }
}
