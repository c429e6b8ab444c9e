//! Runs a future on this thread, without a runtime.
//!
//! The stores of one process finish at their first poll, so the usual case costs one call. What is
//! still pending waits by a [`Park`], which the face provides: a thread sleeps (and, in Python, lets
//! the interpreter lock go), a greenlet lets its hub run.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

/// How a caller waits.
pub trait Park {
    /// Why a wait may be given up: a signal, the end of the program. [`std::convert::Infallible`] for
    /// a wait that never is.
    type Interrupt;

    /// A waker that ends the current or the next [`park`](Self::park), from any thread.
    fn waker(&self) -> Waker;

    /// Waits until the waker is called. May return early.
    ///
    /// # Errors
    ///
    /// An interrupt; the future is then dropped.
    fn park(&self) -> Result<(), Self::Interrupt>;
}

/// Runs `future` to its end on this thread. Polls once before anything is set up for waiting.
///
/// # Errors
///
/// What [`Park::park`] was interrupted by.
///
/// ```
/// use larder_core::{drive, ThreadPark};
///
/// assert_eq!(drive(async { 2 + 2 }, &ThreadPark), Ok(4));
/// ```
pub fn drive<F: Future, P: Park>(future: F, park: &P) -> Result<F::Output, P::Interrupt> {
    let mut future = pin!(future);
    let mut first = Context::from_waker(Waker::noop());
    if let Poll::Ready(output) = future.as_mut().poll(&mut first) {
        return Ok(output);
    }
    let waker = park.waker();
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Ok(output);
        }
        park.park()?;
    }
}

/// Waits by putting the thread to sleep.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThreadPark;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl Park for ThreadPark {
    type Interrupt = std::convert::Infallible;

    fn waker(&self) -> Waker {
        Arc::new(Unpark(std::thread::current())).into()
    }

    fn park(&self) -> Result<(), Self::Interrupt> {
        std::thread::park();
        Ok(())
    }
}
