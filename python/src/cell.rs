//! Places that are looked into by whoever holds the interpreter lock.

use std::cell::RefCell;

use pyo3::gc::PyVisit;
use pyo3::prelude::*;

/// What threads share under the lock that each of them holds anyway: no atomic operation is needed to
/// look, and every hit looks several times.
#[derive(Default)]
pub(crate) struct Cell<T>(RefCell<T>);

// SAFETY: the `RefCell` is touched in `with` and `seen` only, whose callers hold the interpreter lock: a
// `Python` proves it, and a `PyVisit` is handed out by the collector, which holds it. So no two threads
// touch it at once, and the lock orders what they do. Should the lock go to another thread while the
// `RefCell` is borrowed, the other one finds it borrowed, as somebody further down the same stack does.
// Nothing borrowed leaves either method. The module asks for the lock (`gil_used`), and no wheel is built
// for an interpreter without one. `T` itself goes from thread to thread, hence `Send`.
#[expect(unsafe_code, reason = "two locks less are a fifth of a memoized hit")]
unsafe impl<T: Send> Sync for Cell<T> {}

impl<T> Cell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(RefCell::new(value))
    }

    /// What `look` makes of the content; `None` where somebody is looking already, which is possible
    /// only if `look` runs code of Python.
    #[inline]
    pub(crate) fn with<R>(&self, _py: Python<'_>, look: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.0
            .try_borrow_mut()
            .ok()
            .map(|mut value| look(&mut value))
    }

    /// As [`with`](Self::with), for the collector of cycles.
    pub(crate) fn seen<R>(&self, _visit: &PyVisit<'_>, look: impl FnOnce(&T) -> R) -> Option<R> {
        self.0.try_borrow().ok().map(|value| look(&value))
    }
}
