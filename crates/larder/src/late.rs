//! Loads that a caller waits for only so long, and that go on when it does not wait any more.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use larder_core::TimedOut;

use crate::background::{self, Work};

/// Why there is no value.
#[derive(PartialEq, Eq)]
pub enum LoadError<E> {
    /// The load failed so; everyone who waited for it has the same error.
    Failed(Arc<E>),
    /// The load takes longer than [`Policy::hard_timeout`](larder_core::Policy::hard_timeout).
    TimedOut(TimedOut),
}

impl<E> LoadError<E> {
    /// What the load failed with, if it did not take too long.
    ///
    /// ```
    /// use larder::LoadError;
    /// use std::sync::Arc;
    ///
    /// assert_eq!(LoadError::Failed(Arc::new("down")).failure(), Some(&"down"));
    /// ```
    pub fn failure(&self) -> Option<&E> {
        match self {
            Self::Failed(error) => Some(error),
            Self::TimedOut(_) => None,
        }
    }

    /// Whether the load takes too long.
    pub const fn is_timeout(&self) -> bool {
        matches!(self, Self::TimedOut(_))
    }
}

impl<E> Clone for LoadError<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Failed(error) => Self::Failed(Arc::clone(error)),
            Self::TimedOut(error) => Self::TimedOut(*error),
        }
    }
}

impl<E: fmt::Debug> fmt::Debug for LoadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
            Self::TimedOut(error) => f.debug_tuple("TimedOut").field(error).finish(),
        }
    }
}

impl<E: fmt::Display> fmt::Display for LoadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::TimedOut(error) => error.fmt(f),
        }
    }
}

impl<E: std::error::Error> std::error::Error for LoadError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed(error) => error.source(),
            Self::TimedOut(_) => None,
        }
    }
}

/// How a call on another thread ended: what it answered, or what it panicked with.
pub(crate) type Ended<T> = Result<T, Box<dyn Any + Send>>;

/// Runs `call` on a thread of its own. `None` where too many run already: it is dropped then.
pub(crate) fn on_a_thread<T: Send + 'static>(
    call: impl FnOnce() -> T + Send + 'static,
) -> Option<Ending<T>> {
    let there = Arc::new(Mutex::new(There {
        ended: None,
        waker: None,
    }));
    let ending = Ending(Arc::clone(&there));
    let work = move || {
        let ended = catch_unwind(AssertUnwindSafe(call));
        let waker = {
            let mut there = lock(&there);
            there.ended = Some(ended);
            there.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    };
    background::load(Work::Call(Box::new(work))).then_some(ending)
}

/// The end of a call on another thread.
pub(crate) struct Ending<T>(Arc<Mutex<There<T>>>);

struct There<T> {
    ended: Option<Ended<T>>,
    waker: Option<Waker>,
}

fn lock<T>(there: &Mutex<There<T>>) -> MutexGuard<'_, There<T>> {
    there.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Future for Ending<T> {
    type Output = Ended<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ended<T>> {
        let waker = cx.waker().clone();
        let mut there = lock(&self.0);
        match there.ended.take() {
            Some(ended) => Poll::Ready(ended),
            None => {
                let old = there.waker.replace(waker);
                drop(there);
                drop(old);
                Poll::Pending
            }
        }
    }
}
