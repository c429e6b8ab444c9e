//! Calls of cached functions without a tuple of arguments (PEP 590), in a library that is built for the
//! very version of the interpreter.

#![expect(unsafe_code, reason = "half of what is left of a memoized hit")]

use std::mem::offset_of;

use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{Borrowed, PyTypeInfo, ffi, get_trampoline_function};

use crate::function::CachedFunction;
use crate::positions::Positions;

/// What the interpreter calls; a field of each function, because it looks for it there.
pub(crate) type Entrance = ffi::vectorcallfunc;

/// The arguments of one call, where the interpreter has them.
struct Lined<'py> {
    first: *const *mut ffi::PyObject,
    count: usize,
    py: Python<'py>,
}

impl<'py> Positions<'py> for Lined<'py> {
    fn count(&self) -> usize {
        self.count
    }

    fn at(&self, place: usize) -> PyResult<Borrowed<'_, 'py, PyAny>> {
        if place >= self.count {
            return Err(PyIndexError::new_err("no such argument"));
        }
        // SAFETY: there are `count` objects at `first`, and whoever called keeps them alive until it has
        // its answer, which is longer than `self` lives.
        Ok(unsafe { Borrowed::from_ptr(self.py, *self.first.add(place)) })
    }
}

impl<'py> Lined<'py> {
    fn tuple(&self) -> PyResult<Bound<'py, PyTuple>> {
        let all: PyResult<Vec<_>> = (0..self.count).map(|place| self.at(place)).collect();
        PyTuple::new(self.py, all?)
    }
}

/// Answers a call as PEP 590 hands it over.
///
/// # Safety
///
/// As for every `vectorcallfunc`: `function` is a `CachedFunction`; as many arguments as `count` says
/// are at `arguments`, and after them those that `names`, a tuple or null, names.
pub(crate) unsafe extern "C" fn entrance(
    function: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: usize,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls with its lock held, and what it passes is passed on.
    unsafe {
        get_trampoline_function!(fastcall_cfunction_with_keywords, answer)(
            function,
            arguments,
            count.cast_signed(),
            names,
        )
    }
}

/// # Safety
///
/// As [`entrance`].
unsafe fn answer(
    py: Python<'_>,
    function: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> PyResult<*mut ffi::PyObject> {
    // SAFETY: the caller's promise. The type is not to be derived from.
    let (function, names, count) = unsafe {
        (
            Borrowed::from_ptr(py, function).cast_unchecked::<CachedFunction>(),
            Borrowed::from_ptr_or_opt(py, names),
            ffi::PyVectorcall_NARGS(count.cast_unsigned()),
        )
    };
    let lined = Lined {
        first: arguments,
        count: count.cast_unsigned(),
        py,
    };
    let named = match names {
        Some(names) => names.cast::<PyTuple>()?.len(),
        None => 0,
    };
    let answer = if named == 0 {
        CachedFunction::answer_lined(&function, &lined, || lined.tuple())?
    } else {
        let all = Lined {
            count: lined.count + named,
            ..lined
        };
        let kwargs = PyDict::new(py);
        for (place, name) in names
            .into_iter()
            .flat_map(|names| names.try_iter())
            .flatten()
            .enumerate()
        {
            kwargs.set_item(name?, all.at(lined.count + place)?)?;
        }
        CachedFunction::answer(&function, &lined.tuple()?, Some(&kwargs))?
    };
    Ok(answer.into_ptr())
}

/// Tells the interpreter to call cached functions by way of their [`Entrance`]. `function` is the first one
/// that there is.
pub(crate) fn announce(function: &Bound<'_, CachedFunction>) {
    let class = CachedFunction::type_object_raw(function.py());
    let start = std::ptr::from_ref(function.get()).addr() - function.as_ptr().addr();
    let offset = start + offset_of!(CachedFunction, entrance);
    // SAFETY: the type is this library's own, nobody has called one of its objects yet, and the lock of the
    // interpreter is held. All of its objects have one layout, so that `offset` leads to a function of the
    // right type in each. A call by `tp_call` is answered alike. `__get__` binds as functions do, which is
    // what `METHOD_DESCRIPTOR` says.
    unsafe {
        (*class).tp_vectorcall_offset = offset.cast_signed();
        (*class).tp_flags |= ffi::Py_TPFLAGS_HAVE_VECTORCALL | ffi::Py_TPFLAGS_METHOD_DESCRIPTOR;
        ffi::PyType_Modified(class);
    }
}
