//! How Python callers wait: threads, greenlets, event loops.
//!
//! The engine's futures are polled on the caller's own thread. What is pending after the first poll
//! waits without the interpreter lock: a thread sleeps, and looks for signals ten times a second; a
//! greenlet lets its hub run; a coroutine awaits ([`Pending`]).

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use larder_core::fork;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::ending;
use crate::foreign::interruption;
use crate::forking::once;

/// How often a sleeping thread looks for signals, so that Ctrl-C works.
const SIGNALS: Duration = Duration::from_millis(100);

/// Runs `future` to its end on this thread. `blocks` says that a poll may do I/O: the interpreter
/// lock is then released for each of them.
pub(crate) fn run<F>(py: Python<'_>, blocks: bool, future: F) -> PyResult<F::Output>
where
    F: Future + Send,
    F::Output: Send,
{
    let mut future = std::pin::pin!(future);
    let mut poll = |waker: &Waker| {
        if blocks {
            py.detach(|| {
                let _inside = fork::inside();
                future.as_mut().poll(&mut Context::from_waker(waker))
            })
        } else {
            future.as_mut().poll(&mut Context::from_waker(waker))
        }
    };
    if let Poll::Ready(output) = poll(Waker::noop()) {
        return uninterrupted(output);
    }
    match greenlet_park(py)? {
        Some(park) => {
            let waker: Waker = Arc::new(Call(park.getattr(intern!(py, "wake"))?.unbind())).into();
            loop {
                if let Poll::Ready(output) = poll(&waker) {
                    return uninterrupted(output);
                }
                ending::call(&park.getattr(intern!(py, "wait"))?, ())?;
            }
        }
        None => {
            let sleeper = Arc::new(Sleeper::here());
            let waker: Waker = Arc::clone(&sleeper).into();
            loop {
                if let Poll::Ready(output) = poll(&waker) {
                    return uninterrupted(output);
                }
                py.detach(|| sleeper.sleep());
                py.check_signals()?;
            }
        }
    }
}

/// What came of some work, unless a back end was interrupted in the middle of it.
fn uninterrupted<T>(output: T) -> PyResult<T> {
    match interruption() {
        Some(error) => Err(error),
        None => Ok(output),
    }
}

/// A thread that sleeps until it is woken. Without a lock: a child of a fork may wake those who slept in
/// its parent.
struct Sleeper {
    woken: AtomicBool,
    thread: Thread,
}

impl Sleeper {
    fn here() -> Self {
        Self {
            woken: AtomicBool::new(false),
            thread: thread::current(),
        }
    }

    fn sleep(&self) {
        if !self.woken.swap(false, Ordering::AcqRel) {
            thread::park_timeout(SIGNALS);
            self.woken.store(false, Ordering::Release);
        }
    }
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Wakes by calling a Python object, from whatever thread.
struct Call(Py<PyAny>);

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        // An interpreter that is shutting down has nobody left to wake. An error is one of a loop
        // that is closed already: the same.
        Python::try_attach(|py| {
            if let Err(error) = ending::call(self.0.bind(py), ()) {
                error.write_unraisable(py, Some(self.0.bind(py)));
            }
        });
    }
}

/// Whether the caller is a greenlet, which must not keep its thread waiting. In doubt it is.
pub(crate) fn is_greenlet(py: Python<'_>) -> bool {
    !matches!(greenlet_park(py), Ok(None))
}

/// What a greenlet waits by, if this is one; `None` on a plain thread.
fn greenlet_park(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    static FIND: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let find = once(py, &FIND, || {
        let module = py.import("flask_larder._waiting")?;
        module.getattr("greenlet_park").map(Bound::unbind)
    })?;
    let park = ending::call(find.bind(py), ())?;
    Ok((!park.is_none()).then_some(park))
}

type Work = Pin<Box<dyn Future<Output = PyResult<Py<PyAny>>> + Send>>;

/// Work that a coroutine waits for. `flask_larder._waiting.finish` awaits it.
#[pyclass(frozen, module = "flask_larder._native")]
pub struct Pending {
    work: Mutex<Option<Work>>,
    blocks: bool,
}

impl Pending {
    pub(crate) fn new<F>(blocks: bool, future: F) -> Self
    where
        F: Future<Output = PyResult<Py<PyAny>>> + Send + 'static,
    {
        Self {
            work: Mutex::new(Some(Box::pin(future))),
            blocks,
        }
    }

    fn take(&self) -> Option<Work> {
        self.work
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

#[pymethods]
impl Pending {
    /// Goes on as far as possible: answers `(result,)` at the end, `None` when `wake` will be called
    /// once it is worth trying again.
    fn poll(&self, py: Python<'_>, wake: Py<PyAny>) -> PyResult<Option<(Py<PyAny>,)>> {
        let waker: Waker = Arc::new(Call(wake)).into();
        // Taken out while it is polled: whoever cancels meanwhile finds nothing, and the end of the
        // poll drops what nobody wants any more.
        let Some(mut work) = self.take() else {
            return Ok(Some((py.None(),)));
        };
        let mut poll = || work.as_mut().poll(&mut Context::from_waker(&waker));
        let polled = if self.blocks {
            py.detach(|| {
                let _inside = fork::inside();
                poll()
            })
        } else {
            poll()
        };
        match polled {
            Poll::Ready(result) => uninterrupted(result)?.map(|value| Some((value,))),
            Poll::Pending => {
                *self.work.lock().unwrap_or_else(PoisonError::into_inner) = Some(work);
                Ok(None)
            }
        }
    }

    /// Gives the work up: the caller was cancelled.
    fn cancel(&self) {
        drop(self.take());
    }
}
