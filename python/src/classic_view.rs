//! Keys of views as Flask-Caching makes them.
//!
//! The base key is the prefix with the path in it. By query, the digest of the sorted pairs comes
//! behind it, as Python writes them; `flask_larder.compat.views` has the same in Python.

use larder_core::Key;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::context::current_request;
use crate::hashing::Method;
use crate::key::{named, named_bytes};
use crate::query::write_pairs;
use crate::view::{ViewKey, environ_of};

/// How the requests of one view become Flask-Caching's keys.
#[pyclass(frozen, module = "flask_larder._native")]
pub struct ClassicView {
    base: Base,
    /// Of what the sorted query is hashed with, and what is hashed behind it: the source.
    query: Option<(Method, Vec<u8>)>,
    /// What stands behind the base key: the digest of the source.
    suffix: String,
    /// What `vary` names, as a variant of the key.
    inputs: Option<Py<ViewKey>>,
}

/// What a key begins with.
enum Base {
    /// What stands before and behind the path.
    Path(String, String),
    Fixed(String),
    /// A callable without arguments.
    Prefix(Py<PyAny>),
    /// A callable that takes the view's arguments and makes the whole key.
    Whole(Py<PyAny>),
}

#[pymethods]
impl ClassicView {
    /// `prefix` is a text with at most one `%s` in it, or a callable; with `whole` one that makes the
    /// whole key. `method` is the hash method of a key by query, and `source` is hashed with it;
    /// `suffix` stands behind any other key.
    #[new]
    #[pyo3(signature = (prefix, *, whole=false, method=None, source=Vec::new(),
        suffix=String::new(), inputs=None))]
    #[expect(clippy::too_many_arguments, reason = "keywords")]
    fn new(
        prefix: &Bound<'_, PyAny>,
        whole: bool,
        method: Option<&Bound<'_, PyAny>>,
        source: Vec<u8>,
        suffix: String,
        inputs: Option<Py<ViewKey>>,
    ) -> PyResult<Self> {
        let base = match prefix.cast::<PyString>() {
            Err(_) if whole => Base::Whole(prefix.clone().unbind()),
            Err(_) => Base::Prefix(prefix.clone().unbind()),
            Ok(prefix) => match prefix.to_str()?.split_once("%s") {
                Some((before, after)) => Base::Path(before.to_owned(), after.to_owned()),
                None => Base::Fixed(prefix.to_str()?.to_owned()),
            },
        };
        let method = method.map(Method::of).transpose()?;
        Ok(Self {
            base,
            query: method.map(|method| (method, source)),
            suffix,
            inputs,
        })
    }

    /// A callable may hold the view, which holds this.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Base::Prefix(callable) | Base::Whole(callable) = &self.base {
            visit.call(callable)?;
        }
        let method = self.query.as_ref().and_then(|(method, _)| method.called());
        method.map_or(Ok(()), |method| visit.call(method))?;
        self.inputs
            .as_ref()
            .map_or(Ok(()), |inputs| visit.call(inputs))
    }

    /// The key of a call, or `None` where it takes a closer look.
    #[pyo3(name = "key")]
    fn py_key(
        &self,
        py: Python<'_>,
        args: &Bound<'_, PyTuple>,
        kwargs: &Bound<'_, PyDict>,
    ) -> PyResult<Option<crate::key::Key>> {
        Ok(self.key(py, args, Some(kwargs))?.map(crate::key::Key))
    }
}

impl ClassicView {
    /// The key of a call; `None` where Python has to say what it is, or what is wrong: there is no
    /// request, or what should be text is none.
    ///
    /// # Errors
    ///
    /// What the program's own callables raise.
    pub(crate) fn key(
        &self,
        py: Python<'_>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Option<Key>> {
        match &self.base {
            Base::Whole(callable) => {
                return named(&callable.bind(py).call(args, kwargs)?).map(Some);
            }
            // Any key will do, bytes too: nothing is put behind it.
            Base::Prefix(callable) if self.adds_nothing() => {
                return named(&callable.bind(py).call0()?).map(Some);
            }
            _ => {}
        }
        let request = current_request(py)?;
        let Some(mut text) = self.base(py, request.as_ref())? else {
            return Ok(None);
        };
        if let Some((method, source)) = &self.query {
            let Some(request) = &request else {
                return Ok(None);
            };
            let mut pairs = String::with_capacity(ROOM);
            if !write_pairs(request, &mut pairs)? {
                return Ok(None);
            }
            let mut data = pairs.into_bytes();
            data.extend_from_slice(source);
            method.write_hex(py, &data, &mut text)?;
        }
        text.push_str(&self.suffix);
        match (&self.inputs, &request) {
            (Some(inputs), Some(request)) => {
                let environ = environ_of(request)?;
                let key = inputs.get().key_in(request, &environ, Some(&text))?;
                Ok(Some(key))
            }
            _ => Ok(Some(named_bytes(text.as_bytes()))),
        }
    }

    fn adds_nothing(&self) -> bool {
        self.query.is_none() && self.suffix.is_empty() && self.inputs.is_none()
    }

    /// The text that the key begins with, or `None` as above.
    fn base(&self, py: Python<'_>, request: Option<&Bound<'_, PyAny>>) -> PyResult<Option<String>> {
        let mut text = String::with_capacity(ROOM);
        match &self.base {
            Base::Path(before, after) => {
                let Some(request) = request else {
                    return Ok(None);
                };
                let path = request.getattr(intern!(py, "path"))?;
                let Some(path) = plain(&path) else {
                    return Ok(None);
                };
                text.push_str(before);
                text.push_str(path);
                text.push_str(after);
            }
            Base::Fixed(prefix) => text.push_str(prefix),
            Base::Prefix(callable) => {
                let prefix = callable.bind(py).call0()?;
                let Some(prefix) = plain(&prefix) else {
                    return Ok(None);
                };
                text.push_str(prefix);
            }
            Base::Whole(_) => {}
        }
        Ok(Some(text))
    }
}

/// What a text consists of; `None` for what is no text, and for one with lone surrogates.
fn plain<'a>(text: &'a Bound<'_, PyAny>) -> Option<&'a str> {
    text.cast::<PyString>().ok()?.to_str().ok()
}

/// Bytes that the key of most requests fits in, with the digest of a query.
const ROOM: usize = 128;
