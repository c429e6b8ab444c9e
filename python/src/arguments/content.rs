//! The content of objects of all other types: what their class says they consist of.

use larder_core::KeyWriter;
use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBytes, PyDict, PyFloat, PyFrozenSet, PyFunction, PyInt, PyList, PySet, PyString, PyTuple,
    PyType,
};

use super::{Unkeyable, Walk, Written, foreign, labels, named};
use crate::forking::once;
use crate::value::{Types, type_name};

/// The protocol in whose terms an object says what it consists of.
const PROTOCOL: u8 = 4;

impl Walk {
    pub(super) fn object(&mut self, out: &mut KeyWriter, object: &Bound<'_, PyAny>) -> Written {
        let types = self.types;
        if self.known(out, object)? {
            return Ok(());
        }
        if Types::is_exact(object, &types.local_proxy) {
            let behind = object.call_method0(intern!(object.py(), "_get_current_object"))?;
            return self.value(out, &behind);
        }
        if let Some(identity) = caching_id(object)? {
            self.head(out, object)?;
            return self.value(out, &identity);
        }
        if named::write(out, object)? {
            return Ok(());
        }
        if types.is_member_of_enum(object) {
            return self.member_of_enum(out, object);
        }
        if foreign::write(self, out, object)? || self.subclass(out, object)? {
            return Ok(());
        }
        if self.dataclass(out, object)? {
            return Ok(());
        }
        self.reduced(out, object)
    }

    /// The head of an object: the name of its type.
    pub(super) fn head<'w>(
        &mut self,
        out: &'w mut KeyWriter,
        object: &Bound<'_, PyAny>,
    ) -> Result<&'w mut KeyWriter, Unkeyable> {
        let name = labels::label(&object.get_type())?;
        self.spend(name.len())?;
        Ok(out.object(&name))
    }

    /// A member is its name, and its value where that is plain.
    fn member_of_enum(&mut self, out: &mut KeyWriter, object: &Bound<'_, PyAny>) -> Written {
        let py = object.py();
        let name = object.getattr(intern!(py, "_name_"))?;
        let value = object.getattr(intern!(py, "_value_"))?;
        let out = self.head(out, object)?.tuple(2);
        self.value(out, &name)?;
        if !super::scalar(out, &value) {
            out.none();
        }
        Ok(())
    }

    /// An object whose class derives from a built-in one: the content of that, then the attributes
    /// that the object has beside it.
    fn subclass(
        &mut self,
        out: &mut KeyWriter,
        object: &Bound<'_, PyAny>,
    ) -> Result<bool, Unkeyable> {
        let content = self.inherited(object)?;
        let Some(content) = content else {
            return Ok(false);
        };
        let more = object.getattr_opt(intern!(object.py(), "__dict__"))?;
        let more = more.and_then(|more| more.cast_into_exact::<PyDict>().ok());
        match more.filter(|more| !more.is_empty()) {
            None => {
                let out = self.head(out, object)?;
                self.value(out, &content)?;
            }
            Some(more) => {
                let out = self.head(out, object)?.object("+").tuple(2);
                self.value(out, &content)?;
                self.map(out, &more)?;
            }
        }
        Ok(true)
    }

    /// What an object is in terms of the built-in type that its class derives from, read without the
    /// methods of that class.
    fn inherited<'py>(
        &self,
        object: &Bound<'py, PyAny>,
    ) -> Result<Option<Bound<'py, PyAny>>, Unkeyable> {
        let py = object.py();
        if let Ok(text) = object.cast::<PyString>() {
            let plain = py.get_type::<PyString>();
            return Ok(Some(plain.call_method1(intern!(py, "__str__"), (text,))?));
        }
        if let Ok(int) = object.cast::<PyInt>() {
            let plain = py.get_type::<PyInt>();
            return Ok(Some(plain.call_method1(intern!(py, "__int__"), (int,))?));
        }
        if let Ok(float) = object.cast::<PyFloat>() {
            return Ok(Some(PyFloat::new(py, float.value()).into_any()));
        }
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return Ok(Some(PyBytes::new(py, bytes.as_bytes()).into_any()));
        }
        if says_what_it_is(object)? {
            return Ok(None);
        }
        let content = if let Ok(tuple) = object.cast::<PyTuple>() {
            tuple
                .get_slice(0, tuple.len())
                .to_list()
                .to_tuple()
                .into_any()
        } else if let Ok(list) = object.cast::<PyList>() {
            list.get_slice(0, list.len()).into_any()
        } else if let Ok(dict) = object.cast::<PyDict>() {
            dict.copy()?.into_any()
        } else if object.cast::<PySet>().is_ok() {
            py.get_type::<PySet>().call1((object,))?
        } else if object.cast::<PyFrozenSet>().is_ok() {
            py.get_type::<PyFrozenSet>().call1((object,))?
        } else {
            return Ok(None);
        };
        Ok(Some(content))
    }

    /// An instance of a dataclass is its fields. A class that merely derives from one may have more.
    fn dataclass(
        &mut self,
        out: &mut KeyWriter,
        object: &Bound<'_, PyAny>,
    ) -> Result<bool, Unkeyable> {
        let py = object.py();
        let own = object.get_type().getattr(intern!(py, "__dict__"))?;
        if !own.contains(intern!(py, "__dataclass_fields__"))? {
            return Ok(false);
        }
        let fields = dataclass_fields(py)?.call1((object,))?;
        let fields = fields.cast_into::<PyTuple>().map_err(PyErr::from)?;
        let content = PyDict::new(py);
        for field in fields.iter() {
            let name = field.getattr(intern!(py, "name"))?.cast_into::<PyString>();
            let name = name.map_err(PyErr::from)?;
            if let Some(value) = object.getattr_opt(&name)? {
                content.set_item(name, value)?;
            }
        }
        let out = self.head(out, object)?;
        self.value(out, content.as_any())?;
        Ok(true)
    }

    /// An object that compares by its content, or says how to be made again, is what it is made of.
    /// All others are nothing but themselves.
    fn reduced(&mut self, out: &mut KeyWriter, object: &Bound<'_, PyAny>) -> Written {
        let py = object.py();
        let kind = object.get_type();
        let special = dispatched(&kind)?;
        if special.is_none()
            && !says_what_it_is(object)?
            && !overrides(&kind, intern!(py, "__eq__"))?
        {
            return Err(Unkeyable::Address(type_name(object)));
        }
        let reduced = match special {
            Some(reduce) => reduce.call1((object,)),
            None => object.call_method1(intern!(py, "__reduce_ex__"), (PROTOCOL,)),
        };
        let reduced = reduced.map_err(|error| failed(object, error))?;
        let out = self.head(out, object)?.object("=");
        let Ok(parts) = reduced.cast_exact::<PyTuple>() else {
            return self.value(out, &reduced);
        };
        self.parts(out, parts).map_err(|refused| match refused {
            // What is inside is no concern of the caller, who passed the object.
            Unkeyable::Address(inner) | Unkeyable::Unnamed(inner) => {
                Unkeyable::Failed(type_name(object), format!("it holds {inner}"))
            }
            other => other,
        })?;
        self.text_of(out, object)
    }

    /// The text of an object whose class has its own: that of a lazy translation depends on the
    /// language of the request, which is no part of the object.
    fn text_of(&mut self, out: &mut KeyWriter, object: &Bound<'_, PyAny>) -> Written {
        let shows = object.get_type().getattr(intern!(object.py(), "__str__"))?;
        if !shows.is_exact_instance_of::<PyFunction>() {
            return Ok(());
        }
        let text = object.str().map_err(|error| failed(object, error))?;
        self.text(out.object("str"), &text)
    }

    /// What makes an object again: a function, its arguments, a state, members, pairs.
    fn parts(&mut self, out: &mut KeyWriter, parts: &Bound<'_, PyTuple>) -> Written {
        let py = parts.py();
        out.tuple(parts.len());
        for (place, part) in parts.iter().enumerate() {
            if part.is_none() || place < 3 {
                self.value(out, &part)?;
            } else if place == 4 {
                let pairs = PyDict::from_sequence(&part)?;
                self.map(out, &pairs)?;
            } else {
                let members = py.get_type::<PyList>().call1((part,))?;
                self.value(out, &members)?;
            }
        }
        Ok(())
    }
}

fn dataclass_fields(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static FIELDS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let fields = once(py, &FIELDS, || {
        let fields = py.import("dataclasses")?.getattr("fields")?;
        Ok::<_, PyErr>(fields.unbind())
    })?;
    Ok(fields.bind(py))
}

/// What the user's own method says identifies the object.
fn caching_id<'py>(object: &Bound<'py, PyAny>) -> Result<Option<Bound<'py, PyAny>>, Unkeyable> {
    if object.is_instance_of::<PyType>() {
        return Ok(None);
    }
    let method = object.getattr_opt(intern!(object.py(), "__caching_id__"))?;
    Ok(method.map(|method| method.call0()).transpose()?)
}

/// Whether a class has its own way to say what its objects are made of.
fn says_what_it_is(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    let (py, kind) = (object.py(), object.get_type());
    Ok(overrides(&kind, intern!(py, "__reduce__"))?
        || overrides(&kind, intern!(py, "__reduce_ex__"))?
        || overrides(&kind, intern!(py, "__getstate__"))?)
}

/// Whether a class has another method of this name than every object has.
fn overrides(kind: &Bound<'_, PyType>, name: &Bound<'_, PyString>) -> PyResult<bool> {
    let plain = kind.py().get_type::<PyAny>().getattr(name)?;
    Ok(!kind.getattr(name)?.is(&plain))
}

/// The function that another module registered to say what objects of a class are made of.
fn dispatched<'py>(kind: &Bound<'py, PyType>) -> PyResult<Option<Bound<'py, PyAny>>> {
    static TABLE: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    let py = kind.py();
    let table = once(py, &TABLE, || {
        let table = py.import("copyreg")?.getattr("dispatch_table")?;
        Ok::<_, PyErr>(table.cast_into::<PyDict>()?.unbind())
    })?;
    table.bind(py).get_item(kind)
}

/// The failure of an object to say what it is made of; interrupts are no failures.
fn failed(object: &Bound<'_, PyAny>, error: PyErr) -> Unkeyable {
    let py = object.py();
    if !error.is_instance_of::<PyException>(py) {
        return Unkeyable::Raised(error);
    }
    let text = error.value(py).str();
    let message = text.map_or_else(|_| String::new(), |text| text.to_string());
    Unkeyable::Failed(type_name(object), message)
}
