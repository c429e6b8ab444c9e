//! Forks: what a thread without the interpreter lock has locked, a child would find locked for ever.
//!
//! A fork happens with the interpreter lock held, so whatever is done with it is never cut in two. What
//! is done without it is done inside the engine's gate ([`larder_core::fork`]), which these functions
//! close around every fork. What is made once is made by [`once`].
//!
//! Who waits for another process or thread with the interpreter lock held gives it back meanwhile: the
//! other one may need it to get on, and everybody else goes on.

use larder_core::fork;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

/// Waits until nothing is under way that a fork would cut in two.
#[pyfunction]
fn before_fork(py: Python<'_>) {
    // Who is inside may want the interpreter lock to get out.
    py.detach(fork::close);
}

#[pyfunction]
fn after_fork_in_parent() {
    fork::open();
}

#[pyfunction]
fn after_fork_in_child() {
    fork::open_in_child();
}

/// Waits without the interpreter lock, which whoever is not inside the gate holds. Where the interpreter has
/// ended there is none to give back.
fn let_go(wait: &mut (dyn FnMut() + Send)) {
    Python::try_attach(|py| py.detach(wait));
}

/// What is in the cell, made by `make` if nothing is. Not within the cell's own lock: what runs Python may
/// let another thread fork, and the child would wait for ever. Two threads may both make it; the first
/// one stays.
pub(crate) fn once<'a, T>(
    py: Python<'_>,
    cell: &'a PyOnceLock<T>,
    make: impl FnOnce() -> PyResult<T>,
) -> PyResult<&'a T> {
    match cell.get(py) {
        Some(there) => Ok(there),
        None => {
            let made = make()?;
            Ok(cell.get_or_init(py, || made))
        }
    }
}

pub(crate) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    fork::let_go_by(let_go);
    let py = m.py();
    let hooks = PyDict::new(py);
    hooks.set_item("before", wrap_pyfunction!(before_fork, m)?)?;
    hooks.set_item(
        "after_in_parent",
        wrap_pyfunction!(after_fork_in_parent, m)?,
    )?;
    hooks.set_item("after_in_child", wrap_pyfunction!(after_fork_in_child, m)?)?;
    py.import("os")?
        .call_method("register_at_fork", (), Some(&hooks))?;
    Ok(())
}
