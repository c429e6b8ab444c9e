//! What identifies an argument: its content, in the canonical encoding of `docs/FORMAT.md`.
//!
//! Built-in types have kinds of their own there, so that `1`, `True`, `1.0`, `"1"` and `b"1"` are five
//! keys. Every other value is an object: the name of its type, then its content. The types of the
//! standard library that both faces understand have short names, `date` or `decimal`; all others have
//! their module in front, so that the two can never meet.

mod content;
mod foreign;
mod known;
mod labels;
mod named;
mod unkeyable;

use larder_core::KeyWriter;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PyModule, PySet,
    PyString, PyTuple,
};

use crate::codec::{magnitude, surrogates};
use crate::value::Types;

pub(crate) use unkeyable::Unkeyable;

/// How deep containers may stand in one another.
const NESTING: usize = 64;
/// The bytes that one argument may add to a key.
const LARGEST: usize = 16 << 20;
/// What a container counts for on top of its content, and a member that is written apart, to be
/// sorted: it bounds the time that many small ones take.
const CONTAINER: usize = 16;

type Written = Result<(), Unkeyable>;

/// Writes what identifies `object`.
///
/// # Errors
///
/// Of an object that has no content to be told by, that is nested too deep or too large, and what the
/// user's own `__caching_id__` raises. What was written until then is to be thrown away.
pub(crate) fn write(writer: &mut KeyWriter, object: &Bound<'_, PyAny>) -> Written {
    if scalar(writer, object) {
        return Ok(());
    }
    let mut walk = Walk {
        types: Types::get(object.py())?,
        left: LARGEST,
        depth: 0,
    };
    walk.value(writer, object)
}

/// Writes the objects that most calls have, and that need no walk. Says whether it did.
fn scalar(writer: &mut KeyWriter, object: &Bound<'_, PyAny>) -> bool {
    if let Ok(text) = object.cast_exact::<PyString>() {
        let text = text.to_str().ok().filter(|text| text.len() < LARGEST);
        text.is_some_and(|text| {
            writer.text(text);
            true
        })
    } else if object.is_exact_instance_of::<PyInt>() {
        object.extract().is_ok_and(|value| {
            writer.int(value);
            true
        })
    } else if object.is_none() {
        writer.none();
        true
    } else if let Ok(value) = object.cast_exact::<PyBool>() {
        writer.bool(value.is_true());
        true
    } else if let Ok(value) = object.cast_exact::<PyFloat>() {
        writer.float(value.value());
        true
    } else {
        false
    }
}

/// One walk over an argument.
struct Walk {
    types: &'static Types,
    /// Bytes that may still be written. They bound the time as well: every object writes one at least.
    left: usize,
    depth: usize,
}

impl Walk {
    fn value(&mut self, out: &mut KeyWriter, object: &Bound<'_, PyAny>) -> Written {
        self.spend(1)?;
        if let Ok(text) = object.cast_exact::<PyString>() {
            self.text(out, text)
        } else if let Ok(bytes) = object.cast_exact::<PyBytes>() {
            self.bytes(out, bytes.as_bytes())
        } else if object.is_exact_instance_of::<PyInt>() {
            self.int(out, object)
        } else if scalar(out, object) {
            self.spend(size_of::<f64>())
        } else if self.depth == NESTING {
            Err(Unkeyable::Deep)
        } else {
            self.spend(CONTAINER)?;
            self.depth += 1;
            let written = self.container(out, object);
            self.depth -= 1;
            written
        }
    }

    fn spend(&mut self, bytes: usize) -> Written {
        self.left = self.left.checked_sub(bytes).ok_or(Unkeyable::Large)?;
        Ok(())
    }

    fn text(&mut self, out: &mut KeyWriter, text: &Bound<'_, PyString>) -> Written {
        // Python's own count of the characters comes first, so that a huge text is not encoded.
        let characters = text.len()?;
        self.spend(characters)?;
        if let Ok(text) = text.to_str() {
            self.spend(text.len() - characters)?;
            out.text(text);
        } else {
            out.object("str").bytes(surrogates(text)?.as_bytes());
        }
        Ok(())
    }

    fn bytes(&mut self, out: &mut KeyWriter, bytes: &[u8]) -> Written {
        self.spend(bytes.len())?;
        out.bytes(bytes);
        Ok(())
    }

    fn int(&mut self, out: &mut KeyWriter, int: &Bound<'_, PyAny>) -> Written {
        if let Ok(value) = int.extract::<i64>() {
            out.int(value);
            return self.spend(size_of::<i64>());
        }
        let (negative, magnitude) = magnitude(int)?;
        self.spend(magnitude.as_bytes().len())?;
        out.big_int(negative, magnitude.as_bytes());
        Ok(())
    }

    fn container(&mut self, out: &mut KeyWriter, object: &Bound<'_, PyAny>) -> Written {
        if let Ok(tuple) = object.cast_exact::<PyTuple>() {
            self.tuple(out, tuple)
        } else if let Ok(list) = object.cast_exact::<PyList>() {
            self.list(out, list)
        } else if let Ok(dict) = object.cast_exact::<PyDict>() {
            self.map(out, dict)
        } else if let Ok(set) = object.cast_exact::<PySet>() {
            self.set(out, set.iter())
        } else if let Ok(set) = object.cast_exact::<PyFrozenSet>() {
            self.set(out.object("frozenset"), set.iter())
        } else if let Ok(bytes) = object.cast_exact::<PyByteArray>() {
            self.spend(bytes.len())?;
            out.object("bytearray").bytes(&bytes.to_vec());
            Ok(())
        } else {
            self.object(out, object)
        }
    }

    fn tuple(&mut self, out: &mut KeyWriter, tuple: &Bound<'_, PyTuple>) -> Written {
        out.tuple(tuple.len());
        let mut members = tuple.iter();
        members.try_for_each(|member| self.value(out, &member))
    }

    /// Members may run code of the user's, which could change the list: a copy cannot be changed.
    fn list(&mut self, out: &mut KeyWriter, list: &Bound<'_, PyList>) -> Written {
        let tuple = list.to_tuple();
        out.list(tuple.len());
        let mut members = tuple.iter();
        members.try_for_each(|member| self.value(out, &member))
    }

    fn map(&mut self, out: &mut KeyWriter, dict: &Bound<'_, PyDict>) -> Written {
        self.spend(2 * CONTAINER * dict.len())?;
        let mut members = Vec::with_capacity(dict.len());
        for pair in dict.items().iter() {
            let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair.extract()?;
            let mut written = (KeyWriter::new(), KeyWriter::new());
            self.value(&mut written.0, &key)?;
            self.value(&mut written.1, &value)?;
            members.push(written);
        }
        out.map(members);
        Ok(())
    }

    fn set<'py>(
        &mut self,
        out: &mut KeyWriter,
        members: impl Iterator<Item = Bound<'py, PyAny>>,
    ) -> Written {
        let members: Vec<_> = members.collect();
        self.spend(CONTAINER * members.len())?;
        let mut written = Vec::with_capacity(members.len());
        for member in members {
            let mut one = KeyWriter::new();
            self.value(&mut one, &member)?;
            written.push(one);
        }
        out.set(written);
        Ok(())
    }
}

/// The bytes that identify an object in a key.
#[pyfunction]
fn key_of<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    let mut writer = KeyWriter::new();
    write(&mut writer, object).map_err(Unkeyable::into_py_err)?;
    Ok(PyBytes::new(object.py(), writer.as_bytes()))
}

pub(crate) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(key_of, m)?)
}
