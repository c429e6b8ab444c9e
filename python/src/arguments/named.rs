//! What is identified by its name: classes, functions, modules; and the names of the types of objects.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{LazyLock, Mutex, PoisonError};

use larder_core::KeyWriter;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyCFunction, PyDict, PyFunction, PyModule, PyString, PyType, PyWeakrefMethods,
    PyWeakrefReference,
};

use super::Unkeyable;

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

/// The name of a type, with its module in front. A class that is not found under its name gets a
/// number as well, for there may be others of that name, and what they do with equal content differs.
pub(super) fn label(kind: &Bound<'_, PyType>) -> Result<String, Unkeyable> {
    let (module, name) = names(kind);
    let full = format!("{module}.{name}");
    let made_by_code = kind
        .getattr(intern!(kind.py(), "__flags__"))?
        .extract::<u64>()?
        & HEAP
        != 0;
    if !made_by_code || is_found(kind, &module, &name) {
        return Ok(full);
    }
    let number = Classes::number(kind)?;
    let (process, start) = (std::process::id(), *START);
    Ok(format!("{full}#{process:x}.{start:x}.{number:x}"))
}

fn names(object: &Bound<'_, PyAny>) -> (String, String) {
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
fn is_found(object: &Bound<'_, PyAny>, module: &str, name: &str) -> bool {
    let find = || -> PyResult<bool> {
        let py = object.py();
        let modules = py
            .import(intern!(py, "sys"))?
            .getattr(intern!(py, "modules"))?;
        let Some(module) = modules.cast_into::<PyDict>()?.get_item(module)? else {
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

/// The flag of a type that is not part of the interpreter or of a library.
const HEAP: u64 = 1 << 9;

/// Tells one start of a process from another one with the same number.
static START: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(()));

static CLASSES: Mutex<Classes> = Mutex::new(Classes {
    last: 0,
    known: None,
});

/// Numbers of classes that share their names, by their addresses.
struct Classes {
    last: u64,
    known: Option<HashMap<usize, (u64, Py<PyWeakrefReference>)>>,
}

impl Classes {
    /// The number of a class; no other one ever gets it, also not at the same address.
    fn number(kind: &Bound<'_, PyType>) -> PyResult<u64> {
        let py = kind.py();
        // Made before the lock is taken: it may run the garbage collector, and with it anything.
        let reference = PyWeakrefReference::new(kind)?.unbind();
        let mut classes = CLASSES.lock().unwrap_or_else(PoisonError::into_inner);
        let next = classes.last + 1;
        let known = classes.known.get_or_insert_default();
        let address = kind.as_ptr() as usize;
        if let Some((number, known)) = known.get(&address)
            && known.bind(py).upgrade().is_some_and(|alive| alive.is(kind))
        {
            return Ok(*number);
        }
        let replaced = known.insert(address, (next, reference));
        classes.last = next;
        drop(classes);
        drop(replaced);
        Ok(next)
    }
}
