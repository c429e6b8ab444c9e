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
/// What stands in front of the members of a list.
const ROW_HEAD: usize = 56;
/// What stands in front of the places of a dict.
const TABLE_HEAD: usize = 96;
/// A text below this length is estimated at two bytes a character; a longer one is asked.
const SHORT: usize = 128;

/// The bytes of an object of a type that most values are made of; `None` for other types.
#[inline]
pub(super) fn common(object: &Bound<'_, PyAny>) -> Option<usize> {
    if let Ok(text) = object.cast_exact::<PyString>() {
        return Some(match text.len() {
            Ok(length) if length < SHORT => TEXT_HEAD + 2 * length,
            _ => measured(object),
        });
    }
    if object.is_exact_instance_of::<PyInt>() {
        let word = object.extract::<i64>().is_ok();
        return Some(if word { SMALL } else { measured(object) });
    }
    if object.is_exact_instance_of::<PyFloat>() {
        return Some(SMALL);
    }
    if object.is_none() || object.is_exact_instance_of::<PyBool>() {
        return Some(0);
    }
    let bytes = object.cast_exact::<PyBytes>().ok()?;
    Some(BYTES_HEAD + bytes.as_bytes().len())
}

/// The bytes of an object of a built-in type, as the type itself says. To be asked of built-in types
/// only, because others answer with code of their own.
pub(super) fn measured(object: &Bound<'_, PyAny>) -> usize {
    let size = object.call_method0(intern!(object.py(), "__sizeof__"));
    size.and_then(|size| size.extract::<usize>())
        .map_or(SMALL, |size| size + COLLECTED)
}

/// The bytes of a list, a tuple or a byte array with `count` members of `each` bytes.
pub(super) const fn row(count: usize, each: usize) -> usize {
    COLLECTED + ROW_HEAD + count * each
}

/// The bytes of a dict or a set with `count` members: a table of places, a power of two of which a
/// third stays free, and `each` bytes for the members that two thirds of them have room for.
pub(super) fn table(count: usize, each: usize) -> usize {
    let places = (count + count / 2 + 1).next_power_of_two().max(8);
    COLLECTED + TABLE_HEAD + places + places * 2 / 3 * each
}
