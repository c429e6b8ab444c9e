//! Types of libraries that may not be there; they are looked for among the imported modules, never
//! imported.

use larder_core::KeyWriter;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyType};

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
    let Some(numpy) = imported(py, "numpy")? else {
        return Ok(false);
    };
    let kind = object.get_type();
    if kind.is(numpy.getattr(intern!(py, "ndarray"))?) {
        array(walk, out, object)?;
        return Ok(true);
    }
    let generic = numpy.getattr(intern!(py, "generic"))?.cast_into::<PyType>();
    let generic = generic.map_err(PyErr::from)?.unbind();
    if !crate::value::derives(&kind, &generic) {
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

/// A module, if the program has imported it.
fn imported<'py>(py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
    let modules = py
        .import(intern!(py, "sys"))?
        .getattr(intern!(py, "modules"))?;
    modules.cast_into::<PyDict>()?.get_item(name)
}
