//! Waiting for a load that runs elsewhere and may outlive the wait.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use larder_core::store::AnyStore;
use larder_core::{TimedOut, Waited};
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::answer::Answer;
use crate::forking::once;
use crate::value::PyValue;
use crate::waiting::{Pending, run};

type CorePatience = larder_core::Patience<PyValue, AnyStore<PyValue>>;
type CoreWaited = Waited<PyValue, ()>;

/// The end of a load, as whoever waits for it learns of it.
#[derive(Default)]
struct Ending {
    is_there: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Ending {
    fn set_waker(&self, waker: Option<Waker>) -> Option<Waker> {
        let mut kept = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut kept, waker)
    }

    async fn come(&self) {
        // Nobody is to be woken who does not wait any more: its event loop may be closed by then.
        let _waiting = Forgetting(self);
        poll_fn(|cx| {
            // Noted before the look: whoever ends the load then finds it.
            drop(self.set_waker(Some(cx.waker().clone())));
            match self.is_there.load(Ordering::SeqCst) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }
}

/// Takes the waker away with the wait.
struct Forgetting<'a>(&'a Ending);

impl Drop for Forgetting<'_> {
    fn drop(&mut self) {
        drop(self.0.set_waker(None));
    }
}

/// How long a caller waits for a load that runs elsewhere. The answer of a wait is of the kind "ended",
/// "hit" (it takes too long: serve `value`) or "timeout" (raise `error`).
#[pyclass(frozen, module = "flask_larder._native")]
pub(crate) struct Patience {
    patience: Mutex<Option<CorePatience>>,
    ending: Arc<Ending>,
    blocks: bool,
}

impl Patience {
    pub(crate) fn new(patience: CorePatience, blocks: bool) -> Self {
        Self {
            patience: Mutex::new(Some(patience)),
            ending: Arc::default(),
            blocks,
        }
    }

    fn take(&self) -> PyResult<CorePatience> {
        let mut patience = self.patience.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = patience.take();
        taken.ok_or_else(|| PyRuntimeError::new_err("this load was waited for already"))
    }

    fn waited(&self) -> PyResult<impl Future<Output = CoreWaited> + Send + use<>> {
        let (patience, ending) = (self.take()?, Arc::clone(&self.ending));
        Ok(async move {
            let mut end = Box::pin(ending.come());
            patience.wait(&mut end).await
        })
    }
}

#[pymethods]
impl Patience {
    /// Waits on this thread or greenlet.
    fn wait(&self, py: Python<'_>) -> PyResult<Answer> {
        let waited = run(py, self.blocks, self.waited()?)?;
        answer(py, &waited)
    }

    /// As `wait`, for a coroutine: answers something to await with `flask_larder._waiting.finish`.
    fn wait_soon(&self) -> PyResult<Pending> {
        let waited = self.waited()?;
        Ok(Pending::new(self.blocks, async move {
            let waited = waited.await;
            Python::attach(|py| Ok(Py::new(py, answer(py, &waited)?)?.into_any()))
        }))
    }

    /// What the caller gets where the load cannot even begin.
    fn is_over(&self, py: Python<'_>) -> PyResult<Answer> {
        let over = self.take()?.is_over::<()>();
        let waited = run(py, self.blocks, over)?;
        answer(py, &waited)
    }

    /// The load has ended, in whatever way. Called by whoever ran it.
    fn end(&self) {
        self.ending.is_there.store(true, Ordering::SeqCst);
        if let Some(waker) = self.ending.set_waker(None) {
            waker.wake();
        }
    }
}

fn answer(py: Python<'_>, waited: &CoreWaited) -> PyResult<Answer> {
    match waited {
        Waited::Ended(()) => Ok(Answer::plain("ended")),
        Waited::Serve(hit) => Answer::hit(py, "hit", hit),
        Waited::TimedOut(error) => Answer::timed_out(py, *error),
    }
}

/// The exception that callers get.
pub(crate) fn cache_timeout(py: Python<'_>, error: TimedOut) -> PyResult<Py<PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = once(py, &CLASS, || {
        let module = py.import("flask_larder.failures")?;
        module
            .getattr(intern!(py, "CacheTimeout"))
            .map(Bound::unbind)
    })?;
    class.call1(py, (error.timeout().as_secs_f64(),))
}
