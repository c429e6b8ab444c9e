//! Types of libraries that may not be there; they are looked for among the imported modules, never
//! imported.

use larder_core::KeyWriter;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyString, PyType};

use super::named::imported;
use super::{Unkeyable, Walk, Written};

/// The kinds of numpy's element types whose bytes are their content.
const PLAIN_KINDS: &str = "?biufcSUmM";

/// Writes an array or a number of numpy. Says whether the object is one.
pub(super) fn write(
    walk: &mut Walk,
    out: &mut KeyWriter,
    object: &Bound<'_, PyAny>,
) -> Result<bool, Unkeyable> {
    let py = object.py();
    let Some((array_type, number_type)) = numpy(py)? else {
        return Ok(false);
    };
    let kind = object.get_type();
    if kind.is(array_type) {
        array(walk, out, object)?;
        return Ok(true);
    }
    if !crate::value::derives(&kind, number_type) {
        return Ok(false);
    }
    let (name, plain) = element_type(object)?;
    if !plain {
        return Ok(false);
    }
    let out = walk.head(out, object)?.tuple(2);
    walk.text(out, &name)?;
    content(walk, out, object)?;
    Ok(true)
}

/// The types of numpy's arrays and numbers, once the program has imported it.
fn numpy(py: Python<'_>) -> PyResult<Option<&'static (Py<PyType>, Py<PyType>)>> {
    static NUMPY: PyOnceLock<(Py<PyType>, Py<PyType>)> = PyOnceLock::new();
    if let Some(types) = NUMPY.get(py) {
        return Ok(Some(types));
    }
    let Some(module) = imported(py, "numpy")? else {
        return Ok(None);
    };
    // While it is being imported the module is there, and its types are not yet.
    let found = |name| -> PyResult<Option<Py<PyType>>> {
        let kind = module.getattr_opt(name)?;
        Ok(kind
            .and_then(|kind| kind.cast_into().ok())
            .map(Bound::unbind))
    };
    match (found("ndarray")?, found("generic")?) {
        (Some(arrays), Some(numbers)) => Ok(Some(NUMPY.get_or_init(py, || (arrays, numbers)))),
        _ => Ok(None),
    }
}

/// An array is its element type, its shape and its elements in rows.
fn array(walk: &mut Walk, out: &mut KeyWriter, array: &Bound<'_, PyAny>) -> Written {
    let py = array.py();
    let (name, plain) = element_type(array)?;
    let out = out.object("numpy.ndarray").tuple(3);
    walk.value(out, &array.getattr(intern!(py, "shape"))?)?;
    if plain {
        walk.text(out, &name)?;
        return content(walk, out, array);
    }
    walk.value(out, &array.getattr(intern!(py, "dtype"))?)?;
    walk.value(out, &array.call_method0(intern!(py, "tolist"))?)
}

fn element_type<'py>(array: &Bound<'py, PyAny>) -> PyResult<(Bound<'py, PyString>, bool)> {
    let py = array.py();
    let element = array.getattr(intern!(py, "dtype"))?;
    let kind: String = element.getattr(intern!(py, "kind"))?.extract()?;
    let name = element.getattr(intern!(py, "str"))?.cast_into()?;
    Ok((name, PLAIN_KINDS.contains(&kind)))
}

/// The bytes, once they are known not to be too many.
fn content(walk: &mut Walk, out: &mut KeyWriter, array: &Bound<'_, PyAny>) -> Written {
    let py = array.py();
    let size: usize = array.getattr(intern!(py, "nbytes"))?.extract()?;
    walk.spend(size)?;
    let bytes = array.call_method0(intern!(py, "tobytes"))?;
    out.bytes(bytes.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes());
    Ok(())
}
