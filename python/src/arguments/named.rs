//! What is identified by its name: classes, functions, modules.

use larder_core::KeyWriter;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyCFunction, PyDict, PyFunction, PyModule, PyString, PyType};

use crate::forking::once;

use super::Unkeyable;
use super::labels::label;

/// Writes a class, a function or a module by its name. Says whether the object is one of these.
pub(super) fn write(out: &mut KeyWriter, object: &Bound<'_, PyAny>) -> Result<bool, Unkeyable> {
    if let Ok(kind) = object.cast::<PyType>() {
        out.object("type").text(&label(kind)?);
    } else if object.is_exact_instance_of::<PyFunction>() || is_plain_builtin(object) {
        out.object("function").text(&function(object)?);
    } else if let Ok(module) = object.cast_exact::<PyModule>() {
        out.object("module").text(&module.name()?.to_cow()?);
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// A function written in C that belongs to a module, not to an object.
fn is_plain_builtin(object: &Bound<'_, PyAny>) -> bool {
    object.is_exact_instance_of::<PyCFunction>()
        && object
            .getattr(intern!(object.py(), "__self__"))
            .is_ok_and(|owner| owner.is_none() || owner.is_exact_instance_of::<PyModule>())
}

fn function(object: &Bound<'_, PyAny>) -> Result<String, Unkeyable> {
    let (module, name) = names(object);
    let full = format!("{module}.{name}");
    if is_found(object, &module, &name) {
        Ok(full)
    } else {
        Err(Unkeyable::Unnamed(format!("function {full}")))
    }
}

pub(super) fn names(object: &Bound<'_, PyAny>) -> (String, String) {
    let text = |name| {
        let text = object
            .getattr(name)
            .and_then(|text| Ok(text.cast_into::<PyString>()?));
        text.map_or_else(
            |_| String::from("?"),
            |text| text.to_string_lossy().into_owned(),
        )
    };
    let py = object.py();
    (
        text(intern!(py, "__module__")),
        text(intern!(py, "__qualname__")),
    )
}

/// Whether `name` in `module` is this very object.
pub(super) fn is_found(object: &Bound<'_, PyAny>, module: &str, name: &str) -> bool {
    let find = || -> PyResult<bool> {
        let Some(module) = imported(object.py(), module)? else {
            return Ok(false);
        };
        let mut found = module;
        for part in name.split('.') {
            found = found.getattr(part)?;
        }
        Ok(found.is(object))
    };
    find().unwrap_or(false)
}

/// A module, if the program has imported it.
pub(super) fn imported<'py>(py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
    static MODULES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    let modules = once(py, &MODULES, || {
        let modules = py.import("sys")?.getattr("modules")?;
        Ok::<_, PyErr>(modules.cast_into::<PyDict>()?.unbind())
    })?;
    modules.bind(py).get_item(name)
}
