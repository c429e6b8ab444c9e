//! Other people's back ends: a Python object that keeps bytes under texts, as a store of the engine.
//!
//! Every call into the object needs the interpreter, so the lock is held throughout, and a back end
//! that lets other greenlets run while it waits is called on its own greenlet.

use std::cell::RefCell;
use std::time::Duration;

use larder_core::store::{Found, KeyValue, Keyed, Look, Memory, Tiered};
use larder_core::{AnyStore, Error, ErrorKind, Result};
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::clock::process_clock;
use crate::codec::PyCodec;
use crate::ending;
use crate::engine::Engine;
use crate::errors::raise;
use crate::key::named;
use crate::packing::Packing;
use crate::policy::span;
use crate::value::PyValue;

/// The object that `flask_larder.foreign.Pairs` describes.
#[derive(Debug)]
struct Pairs(Py<PyAny>);

thread_local! {
    /// What ends the program or cancels the caller is no failure of the back end. It waits here until
    /// the engine has come to an end, and is then raised.
    static INTERRUPTED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// What a back end raised on this thread that is not for the engine to deal with.
pub(crate) fn interruption() -> Option<PyErr> {
    INTERRUPTED.take()
}

/// Whether there is such a thing: then no code of Python's is to run before it is raised.
pub(crate) fn is_interrupted() -> bool {
    INTERRUPTED.with_borrow(Option::is_some)
}

/// Keeps something of that kind for the end of the operation.
pub(crate) fn interrupt(error: PyErr) {
    INTERRUPTED.set(Some(error));
}

fn failed(py: Python<'_>, error: PyErr) -> Error {
    if error.is_instance_of::<PyException>(py) {
        let kind = error.get_type(py).name();
        let kind = kind.map_or_else(|_| "an exception".into(), |name| name.to_string());
        let detail = format!("the back end raised {kind}: {}", error.value(py));
        return Error::new(ErrorKind::Store, detail).caused_by(error);
    }
    interrupt(error);
    Error::new(ErrorKind::Store, "the call of the back end was interrupted")
}

impl Pairs {
    /// Does something with the object, and takes its exceptions for failures of the store.
    fn with<T>(&self, work: impl for<'py> FnOnce(&Bound<'py, PyAny>) -> PyResult<T>) -> Result<T> {
        let done = Python::try_attach(|py| work(self.0.bind(py)).map_err(|e| failed(py, e)));
        done.unwrap_or_else(|| {
            let detail = "the interpreter is shutting down";
            Err(Error::new(ErrorKind::Store, detail))
        })
    }
}

fn text<'py>(py: Python<'py>, name: &[u8]) -> PyResult<Bound<'py, PyString>> {
    let name =
        std::str::from_utf8(name).map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok(PyString::new(py, name))
}

fn texts<'py>(py: Python<'py>, names: &[Vec<u8>]) -> PyResult<Vec<Bound<'py, PyString>>> {
    names.iter().map(|name| text(py, name)).collect()
}

/// Seconds, as the back end takes them; `None` is for ever.
fn seconds(life: Option<Duration>) -> Option<f64> {
    life.map(|life| life.as_secs_f64())
}

/// Texts without spaces and control characters, short enough for a prefix of the back end's own
/// before them in the 250 bytes that memcached takes.
fn takes(name: &[u8]) -> bool {
    let plain = |text: &str| !text.chars().any(|c| c.is_control() || c.is_whitespace());
    name.len() <= 200 && std::str::from_utf8(name).is_ok_and(plain)
}

impl KeyValue for Pairs {
    fn name(&self) -> &'static str {
        "foreign"
    }

    fn may_block(&self) -> bool {
        true
    }

    async fn get_many(&self, names: &[Vec<u8>]) -> Result<Vec<Look>> {
        self.with(|pairs| {
            let py = pairs.py();
            let found = ending::call(
                &pairs.getattr(intern!(py, "get_many"))?,
                (texts(py, names)?,),
            )?;
            let mut values = Vec::with_capacity(names.len());
            for value in found.try_iter()? {
                let value = value?;
                let bytes = match value.cast::<PyBytes>() {
                    Ok(bytes) => Some(bytes.as_bytes().to_vec()),
                    Err(_) if value.is_none() => None,
                    // Something that is none of ours: it is there, and no entry.
                    Err(_) => Some(Vec::new()),
                };
                values.push(Look::from(bytes));
            }
            Ok(values)
        })
    }

    async fn set(&self, name: &[u8], bytes: Vec<u8>, life: Option<Duration>) -> Result<()> {
        self.with(|pairs| {
            let py = pairs.py();
            let arguments = (text(py, name)?, PyBytes::new(py, &bytes), seconds(life));
            ending::call(&pairs.getattr(intern!(py, "set"))?, arguments).map(drop)
        })
    }

    async fn add(&self, name: &[u8], bytes: Vec<u8>, life: Option<Duration>) -> Result<bool> {
        self.with(|pairs| {
            let py = pairs.py();
            let arguments = (text(py, name)?, PyBytes::new(py, &bytes), seconds(life));
            ending::call(&pairs.getattr(intern!(py, "add"))?, arguments)?.extract()
        })
    }

    async fn swap(
        &self,
        name: &[u8],
        (old, new): (&Found, Vec<u8>),
        life: Option<Duration>,
    ) -> Result<bool> {
        self.with(|pairs| {
            let py = pairs.py();
            let (old, new) = (PyBytes::new(py, &old.bytes), PyBytes::new(py, &new));
            let arguments = (text(py, name)?, old, new, seconds(life));
            ending::call(&pairs.getattr(intern!(py, "swap"))?, arguments)?.extract()
        })
    }

    fn swaps_in_one_step(&self) -> bool {
        false
    }

    async fn delete_many(&self, names: &[Vec<u8>]) -> Result<()> {
        self.with(|pairs| {
            let py = pairs.py();
            let names = (texts(py, names)?,);
            ending::call(&pairs.getattr(intern!(py, "delete_many"))?, names).map(drop)
        })
    }

    async fn reclaim(&self, _around_tag: (&[u8], &[u8]), _only: fn(&[u8]) -> bool) {
        // What is left lies there until its time is over, or room is needed.
        let _left = self.with(|pairs| {
            let clear = pairs.getattr(intern!(pairs.py(), "clear"))?;
            ending::call(&clear, ()).map(drop)
        });
    }
}

/// The bytes and the seconds of a near tier, as far as somebody chose them.
type Near = (Option<usize>, Option<f64>);

/// The store with a near tier in front of it.
fn in_front(
    store: Keyed<Pairs, PyCodec>,
    (bytes, seconds): Near,
) -> PyResult<Tiered<PyValue, Keyed<Pairs, PyCodec>>> {
    let mut near = Memory::builder();
    if let Some(bytes) = bytes {
        near = near.max_bytes(bytes);
    }
    let mut tiers = Tiered::builder(store).near(near).clock(process_clock());
    if let Some(seconds) = seconds {
        tiers = tiers.ttl(span("CACHE_NEAR_TIMEOUT", seconds)?);
    }
    tiers.build().map_err(raise)
}

/// A store over a back end: its engine, and the names of its keys.
#[pyclass(frozen, module = "flask_larder._native")]
pub struct ForeignStore {
    engine: Py<Engine>,
    store: Keyed<Pairs, PyCodec>,
}

#[pymethods]
impl ForeignStore {
    /// A store over `pairs`, an object as `flask_larder.foreign.Pairs` describes it. `packing` seals
    /// the entries. `near` is the size of a near tier in front of it, in bytes, and how many seconds
    /// that keeps a copy.
    #[new]
    #[expect(clippy::too_many_arguments, reason = "keywords of a Python call")]
    #[pyo3(signature = (pairs, *, namespace, packing, max_value, near=None, on_event=None))]
    fn new(
        py: Python<'_>,
        pairs: Py<PyAny>,
        namespace: String,
        packing: &Packing,
        max_value: usize,
        near: Option<Near>,
        on_event: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let store = Keyed::<Pairs, PyCodec>::builder(Pairs(pairs))
            .namespace(namespace)
            .names(takes)
            .packing(packing.0.clone())
            .max_value(max_value)
            .clock(process_clock())
            .build(PyCodec::new(packing.0.seals()))
            .map_err(raise)?;
        let whole = match near {
            None => AnyStore::new(store.clone()),
            Some(near) => AnyStore::new(in_front(store.clone(), near)?),
        };
        let engine = Engine::build(whole, max_value, on_event).in_python();
        Ok(Self {
            engine: Py::new(py, engine)?,
            store,
        })
    }

    #[getter]
    fn engine(&self, py: Python<'_>) -> Py<Engine> {
        self.engine.clone_ref(py)
    }

    /// The name under which the entry of a key stands in the back end.
    fn name_of<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
        text(key.py(), &self.store.name_of(&named(key)?))
    }

    /// How often reads found an entry that is none for this store.
    #[getter]
    fn unreadable(&self) -> u64 {
        self.store.unreadable()
    }
}
