//! The body of an answer that went through the cache.

mod collect;
mod tee;

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pub(crate) use collect::{Collected, collect};
pub(crate) use tee::{Keep, Tee};

use self::collect::Replay;

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
        Origin { #[pin] body: B },
        Tee { tee: Tee<B::Error> },
        Replay { replay: Replay<B> },
    }
}

impl<B: Body<Data = Bytes> + 'static> CacheBody<B> {
    pub(crate) const fn whole(bytes: Bytes) -> Self {
        Self {
            kind: Kind::Whole { bytes },
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
            Projected::Whole { bytes } if bytes.is_empty() => Poll::Ready(None),
            Projected::Whole { bytes } => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Projected::Origin { body } => body.poll_frame(cx),
            Projected::Tee { tee } => tee.poll_frame(cx),
            Projected::Replay { replay } => replay.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Whole { bytes } => bytes.is_empty(),
            Kind::Origin { body } => body.is_end_stream(),
            Kind::Tee { tee } => tee.is_end_stream(),
            Kind::Replay { replay } => replay.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole { bytes } => SizeHint::with_exact(bytes.len() as u64),
            Kind::Origin { body } => body.size_hint(),
            Kind::Tee { tee } => tee.size_hint(),
            Kind::Replay { replay } => replay.size_hint(),
        }
    }
}

impl<B: Body<Data = Bytes> + 'static> fmt::Debug for CacheBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.kind {
            Kind::Whole { .. } => "CacheBody(whole)",
            Kind::Origin { .. } => "CacheBody(origin)",
            Kind::Tee { .. } => "CacheBody(tee)",
            Kind::Replay { .. } => "CacheBody(replay)",
        })
    }
}
