//! Threads that the end of the process meets in the middle of Python.
//!
//! Up to Python 3.13 a thread that wants the interpreter lock after the interpreter has ended is taken
//! off by `pthread_exit`, which unwinds its stack. PyO3 catches whatever unwinds through a function of
//! this library, and to catch that is to abort the process, with "exception not rethrown". Such threads
//! are daemons, those of Flask's development server for one. PyO3 keeps a thread from that which waits
//! for the lock in Rust; [`call`] keeps one which runs Python below Rust.

#![expect(
    unsafe_code,
    reason = "PyO3 says of all that it calls that it does not unwind, and here it does"
)]

use std::hint::black_box;
use std::{mem, ptr, thread};

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use pyo3::{PyErr, ffi};

type Call = unsafe extern "C" fn(
    *mut ffi::PyObject,
    *mut ffi::PyObject,
    *mut ffi::PyObject,
) -> *mut ffi::PyObject;

type Unwinding = unsafe extern "C-unwind" fn(
    *mut ffi::PyObject,
    *mut ffi::PyObject,
    *mut ffi::PyObject,
) -> *mut ffi::PyObject;

/// Calls what may run Python code of any length. A thread that the end of the interpreter meets there
/// stays there until the process is gone, as threads do from Python 3.14 on.
pub(crate) fn call<'py, A>(
    callable: &Bound<'py, PyAny>,
    arguments: A,
) -> PyResult<Bound<'py, PyAny>>
where
    A: IntoPyObject<'py, Target = PyTuple, Output = Bound<'py, PyTuple>>,
    A::Error: Into<PyErr>,
{
    let py = callable.py();
    let arguments = arguments.into_pyobject(py).map_err(Into::into)?;
    // SAFETY: the two types are one but for what may unwind, which any function may be taken to do.
    let called = unsafe { mem::transmute::<Call, Unwinding>(ffi::PyObject_Call) };
    // The compiler would know it again, and leave out what is to be done for one that unwinds.
    let called = black_box(called);
    let stays = Stays;
    // SAFETY: the interpreter lock is held; both objects live until the call is over, the second one is a
    // tuple, and the third may be missing.
    let answer = unsafe { called(callable.as_ptr(), arguments.as_ptr(), ptr::null_mut()) };
    mem::forget(stays);
    // SAFETY: what comes back is this function's own, or nothing with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, answer) }
}

/// A thread that is unwound past this one stays.
struct Stays;

impl Drop for Stays {
    fn drop(&mut self) {
        loop {
            thread::park();
        }
    }
}
