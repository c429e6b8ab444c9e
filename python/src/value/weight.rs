//! The bytes that an object takes.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyString};

/// What stands in front of the content of a string of bytes.
pub(super) const BYTES_HEAD: usize = 33;
/// What stands in front of the content of a text.
const TEXT_HEAD: usize = 56;
/// A small object: a number.
pub(super) const SMALL: usize = 32;
/// What the garbage collector keeps in front of a container.
const COLLECTED: usize = 16;
/// A text below this length is estimated at two bytes a character; a longer one is asked.
const SHORT: usize = 128;

/// The bytes of an object that holds no others.
pub(super) fn leaf(object: &Bound<'_, PyAny>) -> usize {
    if let Ok(text) = object.cast_exact::<PyString>() {
        return match text.len() {
            Ok(length) if length < SHORT => TEXT_HEAD + 2 * length,
            _ => measured(object),
        };
    }
    if let Ok(bytes) = object.cast_exact::<PyBytes>() {
        return BYTES_HEAD + bytes.len().unwrap_or(0);
    }
    if object.is_none() || object.is_exact_instance_of::<PyBool>() {
        return 0;
    }
    let word = object.is_exact_instance_of::<PyFloat>()
        || object.is_exact_instance_of::<PyInt>() && object.extract::<i64>().is_ok();
    if word { SMALL } else { measured(object) }
}

/// The bytes of a container without its members, or of a number of any size: what the type itself
/// says. To be asked of built-in types only, because others answer with code of their own.
pub(super) fn measured(object: &Bound<'_, PyAny>) -> usize {
    let size = object.call_method0(intern!(object.py(), "__sizeof__"));
    size.and_then(|size| size.extract::<usize>())
        .map_or(SMALL, |size| size + COLLECTED)
}
