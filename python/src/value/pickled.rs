//! Objects kept as a pickle that never leaves the process, or that came back under a seal.

use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;

use crate::ending;
use crate::forking::once;

use super::refused::NotKept;
use super::types::type_name;

/// The protocol that every supported Python has.
const PROTOCOL: u8 = 5;

/// A pickle, and the name of the type that it is of.
pub(crate) struct Pickled {
    bytes: Bytes,
    name: String,
}

enum Bytes {
    /// Made here.
    Made(Py<PyBytes>),
    /// Read from a sealed entry.
    Read(Box<[u8]>),
}

impl Pickled {
    /// Pickles an object. This runs the code of its class.
    pub(crate) fn dump(object: &Bound<'_, PyAny>) -> Result<Self, NotKept> {
        let py = object.py();
        let name = type_name(object);
        let dumped = ending::call(&pickle(py, &DUMPS, "dumps")?, (object, PROTOCOL));
        match dumped {
            Ok(bytes) => Ok(Self {
                bytes: Bytes::Made(bytes.cast_into::<PyBytes>().map_err(PyErr::from)?.unbind()),
                name,
            }),
            Err(error) if error.is_instance_of::<PyException>(py) => {
                Err(NotKept::Unpicklable(name, message(py, &error)))
            }
            Err(error) => Err(NotKept::Raised(error)),
        }
    }

    /// A pickle from a store. Only what was sealed may come here.
    pub(super) fn read(bytes: &[u8]) -> Self {
        Self {
            bytes: Bytes::Read(bytes.into()),
            name: String::from("pickle"),
        }
    }

    /// A new object of the pickle. This runs the code of its class.
    pub(crate) fn load<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let loads = pickle(py, &LOADS, "loads")?;
        match &self.bytes {
            Bytes::Made(bytes) => ending::call(&loads, (bytes.bind(py),)),
            Bytes::Read(bytes) => ending::call(&loads, (PyBytes::new(py, bytes),)),
        }
    }

    /// Hands the bytes to `take`.
    pub(crate) fn with_bytes<T>(&self, py: Python<'_>, take: impl FnOnce(&[u8]) -> T) -> T {
        match &self.bytes {
            Bytes::Made(bytes) => take(bytes.as_bytes(py)),
            Bytes::Read(bytes) => take(bytes),
        }
    }

    /// Whether this is a container made of plain data, perhaps, that was pickled here because of what
    /// its parts share.
    pub(crate) fn is_plain_container(&self) -> bool {
        matches!(self.bytes, Bytes::Made(_))
            && matches!(
                &self.name[..],
                "dict" | "list" | "set" | "tuple" | "frozenset"
            )
    }

    /// The name of the type of what was pickled.
    pub(crate) fn type_name(&self) -> &str {
        &self.name
    }

    pub(super) fn weight(&self) -> usize {
        let bytes = match &self.bytes {
            Bytes::Made(bytes) => Python::try_attach(|py| bytes.as_bytes(py).len()).unwrap_or(0),
            Bytes::Read(bytes) => bytes.len(),
        };
        super::weight::BYTES_HEAD + bytes + self.name.capacity()
    }
}

/// What an exception says. Its class may be the user's, and so broken that it says nothing.
fn message(py: Python<'_>, error: &PyErr) -> String {
    let text = error.value(py).str();
    text.map_or_else(|_| String::from("pickle failed"), |text| text.to_string())
}

static DUMPS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Looks the module up.
pub(super) fn prepare(py: Python<'_>) -> PyResult<()> {
    pickle(py, &DUMPS, "dumps")?;
    pickle(py, &LOADS, "loads")?;
    Ok(())
}

fn pickle<'py>(
    py: Python<'py>,
    place: &PyOnceLock<Py<PyAny>>,
    name: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let function = once(py, place, || {
        let module = py.import(intern!(py, "pickle"))?;
        Ok::<_, PyErr>(module.getattr(name)?.unbind())
    })?;
    Ok(function.bind(py).clone())
}
