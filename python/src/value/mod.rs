//! What is kept of a Python object, and how it is handed out again.
//!
//! What nobody can change is shared: every reader gets the very same object. A tree of plain
//! containers is copied when it is kept and again for every reader, so that no caller can spoil the
//! answer of another. Everything else goes through a pickle that never leaves the process.

mod page;
mod pickled;
mod refused;
mod tree;
mod types;
mod weight;

use std::fmt;
use std::sync::{Arc, OnceLock};

use larder_core::Value;
use larder_http::Coding;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyModule};

use crate::codec;
use tree::{Found, Node, Walk};

pub(crate) use page::{Judged, Page, latin, latin_bytes};
pub(crate) use pickled::Pickled;
pub(crate) use refused::NotKept;
pub(crate) use types::{Types, derives, type_name};

/// A Python object as the cache keeps it. A clone is one counter.
#[derive(Clone)]
pub(crate) struct PyValue(Arc<Kept>);

struct Kept {
    weight: usize,
    form: Form,
    /// Whether it is a page that was asked for in codings.
    is_coded: bool,
}

/// How an object is kept.
enum Form {
    /// An integer that a store counted, made without the interpreter.
    Count(i64),
    /// An object that cannot be changed; the number, if it is an integer of 64 bits.
    Shared(Py<PyAny>, Option<i64>),
    /// A tree of containers, copied for each reader.
    Copied(Node),
    /// A pickle, loaded for each reader.
    Pickled(Pickled),
    /// Bytes of the safe codec that came from a store and were found valid.
    Coded(Coded),
}

/// A value as a store outside the process had it. It is decoded where it is given, because a store
/// works without the interpreter lock, and taking it there could mean waiting for it twice.
struct Coded {
    payload: Box<[u8]>,
    /// What the first reader got, if it cannot be changed.
    shared: OnceLock<Py<PyAny>>,
}

/// What a pair of counters and the allocator's rounding add to a value.
const OVERHEAD: usize = 16;

impl PyValue {
    fn new(form: Form, behind: usize) -> Self {
        let weight = OVERHEAD + size_of::<Kept>() + behind;
        let is_coded = false;
        Self(Arc::new(Kept {
            weight,
            form,
            is_coded,
        }))
    }

    /// Keeps an object, so that nothing that happens to it from now on changes what is kept.
    pub(crate) fn keep(object: &Bound<'_, PyAny>) -> Result<Self, NotKept> {
        let mut walk = Walk::new(Types::get(object.py())?);
        match walk.find(object)? {
            Found::Leaf => {
                let shared = object.clone().unbind();
                let mut kept = Self::new(Form::Shared(shared, count_of(object)), walk.weight);
                if let Ok(page) = object.cast_exact::<Page>()
                    && let Some(kept) = Arc::get_mut(&mut kept.0)
                {
                    kept.is_coded = !page.get().coded().is_empty();
                }
                Ok(kept)
            }
            Found::Container(node) => Ok(Self::new(Form::Copied(node), walk.weight)),
            Found::Other => Self::keep_other(object),
        }
    }

    fn keep_other(object: &Bound<'_, PyAny>) -> Result<Self, NotKept> {
        let types = Types::get(object.py())?;
        if types.is_member_of_enum(object) {
            // The class holds its members anyway.
            let shared = Form::Shared(object.clone().unbind(), None);
            return Ok(Self::new(shared, 0));
        }
        if let Some(stream) = types.stream(object) {
            return Err(NotKept::Stream(stream, type_name(object)));
        }
        let pickled = Pickled::dump(object)?;
        let weight = pickled.weight();
        Ok(Self::new(Form::Pickled(pickled), weight))
    }

    /// An integer, made without the interpreter.
    pub(crate) fn counted(count: i64) -> Self {
        Self::new(Form::Count(count), 0)
    }

    /// A value that came from a store: `payload` is one value of the safe codec, and valid.
    pub(crate) fn coded(payload: &[u8]) -> Self {
        // What cannot be changed is kept twice once it was given.
        let twice = usize::from(!codec::is_mutable(payload));
        let weight = payload.len() * (1 + twice);
        let payload = payload.into();
        let shared = OnceLock::new();
        Self::new(Form::Coded(Coded { payload, shared }), weight)
    }

    /// A pickle that came from a store under a seal.
    pub(crate) fn unsealed(pickle: &[u8]) -> Self {
        let pickled = Pickled::read(pickle);
        let weight = pickled.weight();
        Self::new(Form::Pickled(pickled), weight)
    }

    /// The object that was kept, or a copy that is the caller's own.
    ///
    /// # Errors
    ///
    /// What loading a pickle raises.
    pub(crate) fn give<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.0.form {
            Form::Count(count) => Ok(count.into_pyobject(py)?.into_any()),
            Form::Shared(object, _) => Ok(object.bind(py).clone()),
            Form::Copied(node) => node.copy(py),
            Form::Pickled(pickled) => pickled.load(py),
            Form::Coded(coded) => coded.give(py),
        }
    }

    /// The object that was kept, where it is the same for all.
    pub(crate) fn shared(&self) -> Option<&Py<PyAny>> {
        match &self.0.form {
            Form::Shared(object, _) => Some(object),
            _ => None,
        }
    }

    /// How the value leaves the process.
    pub(crate) fn outward(&self) -> Outward<'_> {
        match &self.0.form {
            Form::Count(count) => Outward::Count(*count),
            Form::Shared(object, _) => Outward::Object(object),
            Form::Copied(node) => Outward::Object(node.private()),
            Form::Pickled(pickled) => Outward::Pickled(pickled),
            Form::Coded(coded) => Outward::Coded(&coded.payload),
        }
    }
}

/// What a codec makes bytes of. Objects in it are the cache's own and are not to be changed.
pub(crate) enum Outward<'a> {
    Count(i64),
    Object(&'a Py<PyAny>),
    Pickled(&'a Pickled),
    Coded(&'a [u8]),
}

impl Coded {
    fn give<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if let Some(shared) = self.shared.get() {
            return Ok(shared.bind(py).clone());
        }
        let object = codec::build(py, &self.payload)?;
        let types = Types::get(py)?;
        if !codec::is_mutable(&self.payload) && Walk::new(types).is_frozen(&object)? {
            // Another thread may have been first; its object is as good.
            let _ = self.shared.set(object.clone().unbind());
        }
        Ok(object)
    }
}

/// The number of an exact integer that fits in 64 bits.
fn count_of(object: &Bound<'_, PyAny>) -> Option<i64> {
    object
        .is_exact_instance_of::<PyInt>()
        .then(|| object.extract().ok())
        .flatten()
}

impl Value for PyValue {
    const HEADS: bool = true;

    /// That of a page. It takes the interpreter lock, while something is being stored outside the process.
    fn head(&self) -> Option<Self> {
        let may_be_page = match &self.0.form {
            Form::Shared(_, count) => count.is_none(),
            Form::Coded(coded) => codec::is_page(&coded.payload),
            Form::Count(_) | Form::Copied(_) | Form::Pickled(_) => false,
        };
        if !may_be_page {
            return None;
        }
        let head = |py: Python<'_>| {
            let object = self.give(py).ok()?;
            let page = object.cast_exact::<Page>().ok()?.get();
            let list = page.list(py);
            let all = list.get_slice(0, list.len());
            let head = Page::assemble(page.status(), all, PyBytes::new(py, b""));
            Self::keep(Bound::new(py, head).ok()?.as_any()).ok()
        };
        Python::try_attach(head).flatten()
    }

    const FORMS: &'static [u8] = &Coding::FORMS;

    fn forms(&self) -> Vec<(u8, Option<Self>)> {
        if !self.0.is_coded {
            return Vec::new();
        }
        let forms = |py: Python<'_>| {
            let object = self.give(py).ok()?;
            let page = object.cast_exact::<Page>().ok()?.get();
            let form = |(coding, page): &(Coding, Option<Py<Page>>)| {
                let page = page.as_ref().map(|page| Self::keep(page.bind(py).as_any()));
                (coding.form(), page.and_then(Result::ok))
            };
            Some(page.coded().iter().map(form).collect())
        };
        Python::try_attach(forms).flatten().unwrap_or_default()
    }

    fn weight(&self) -> usize {
        self.0.weight
    }

    fn as_count(&self) -> Option<i64> {
        match &self.0.form {
            Form::Count(count) => Some(*count),
            Form::Shared(_, count) => *count,
            Form::Coded(coded) => codec::count(&coded.payload),
            Form::Copied(_) | Form::Pickled(_) => None,
        }
    }

    fn from_count(count: i64) -> Option<Self> {
        Some(Self::counted(count))
    }
}

impl fmt::Debug for PyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = match &self.0.form {
            Form::Count(count) => return write!(f, "PyValue({count})"),
            Form::Shared(..) => "shared",
            Form::Copied(_) => "copied",
            Form::Pickled(_) => "pickled",
            Form::Coded(_) => "coded",
        };
        write!(f, "PyValue({form}, {} bytes)", self.0.weight)
    }
}

/// An object as it is kept; what the tests of this module look at.
#[pyclass(frozen, module = "flask_larder._native")]
pub struct KeptValue(PyValue);

#[pymethods]
impl KeptValue {
    #[new]
    fn new(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        PyValue::keep(object)
            .map(Self)
            .map_err(NotKept::into_py_err)
    }

    /// The object, or a copy of it.
    fn give<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.0.give(py)
    }

    /// The bytes that it takes.
    #[getter]
    fn weight(&self) -> usize {
        self.0.weight()
    }

    /// "shared", "copied", "pickled" or "coded".
    #[getter]
    fn form(&self) -> &'static str {
        match &self.0.0.form {
            Form::Count(_) | Form::Shared(..) => "shared",
            Form::Copied(_) => "copied",
            Form::Pickled(_) => "pickled",
            Form::Coded(_) => "coded",
        }
    }

    /// The same value after a way through a store outside the process.
    #[pyo3(signature = (sealed = false))]
    fn through_bytes(&self, py: Python<'_>, sealed: bool) -> PyResult<Self> {
        let value = self.0.clone();
        py.detach(move || codec::round_trip(&value, sealed))
            .map(Self)
            .map_err(|error| pyo3::exceptions::PyValueError::new_err(error.to_string()))
    }
}

pub(crate) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    // Now, and not when the first value comes: a child that is forked while another thread imports a
    // module cannot import it any more.
    Types::get(m.py())?;
    pickled::prepare(m.py())?;
    m.add_class::<Page>()?;
    m.add_class::<KeptValue>()
}
