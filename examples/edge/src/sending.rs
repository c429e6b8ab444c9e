//! What a client sends with its request, on its way to the origin.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::{HeaderMap, header::EXPECT};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::failure::{Failure, Fault};

/// How far the body of a request is. Whoever asks the origin looks at it.
#[derive(Clone, Debug)]
pub(crate) struct Progress(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    gate: Gate,
    /// When something of it was last passed on, or asked for.
    moved: Instant,
    waker: Option<Waker>,
}

/// Whether the body may be read. To read it makes hyper's server tell a client who has asked for that to
/// go on (100), and that is the origin's to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Open,
    Waits,
    /// The origin has answered without it.
    Shut,
}

impl Progress {
    fn new(gate: Gate) -> Self {
        Self(Arc::new(Mutex::new(State {
            gate,
            moved: Instant::now(),
            waker: None,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When something of the body was last passed on.
    pub(crate) fn moved(&self) -> Instant {
        self.lock().moved
    }

    /// The origin is asked now.
    pub(crate) fn begin(&self) {
        self.lock().moved = Instant::now();
    }

    /// Whether the client waits for being told to go on.
    pub(crate) fn waits(&self) -> bool {
        self.lock().gate == Gate::Waits
    }

    /// The client may go on. Says whether it was waiting.
    pub(crate) fn open(&self) -> bool {
        self.turn(Gate::Open)
    }

    /// The origin does not want the body.
    pub(crate) fn shut(&self) {
        self.turn(Gate::Shut);
    }

    fn turn(&self, gate: Gate) -> bool {
        let mut state = self.lock();
        if state.gate != Gate::Waits {
            return false;
        }
        state.gate = gate;
        state.moved = Instant::now();
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
        true
    }
}

/// The body of a request.
#[derive(Debug)]
pub struct Sending {
    body: Incoming,
    progress: Progress,
}

impl Sending {
    /// The body that comes with a head, which says whether the client waits with it.
    pub(crate) fn new(body: Incoming, fields: &HeaderMap) -> Self {
        let waits = fields
            .get(EXPECT)
            .is_some_and(|expected| expected.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        let gate = match waits && !body.is_end_stream() {
            true => Gate::Waits,
            false => Gate::Open,
        };
        Self {
            body,
            progress: Progress::new(gate),
        }
    }

    pub(crate) fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

impl Body for Sending {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        {
            let mut state = self.progress.lock();
            match state.gate {
                Gate::Open => {}
                Gate::Waits => {
                    state.waker = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                Gate::Shut => return Poll::Ready(Some(Err(Failure::Unwanted.into()))),
            }
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.progress.begin();
        Poll::Ready(frame.map(|frame| frame.map_err(Fault::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
