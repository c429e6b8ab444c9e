//! Responses of stored pages.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple, PyType};

use crate::early::Sent;
use crate::forking::once;
use crate::value::Page;
use crate::view::wire;

/// Makes responses of stored pages, in the response class of one application.
#[pyclass(frozen, module = "flask_larder._native")]
pub struct Responder {
    class: Py<PyType>,
    /// A class whose instances need nothing but their `_page`, in a tuple of arguments.
    prepared: Option<Py<PyTuple>>,
}

#[pymethods]
impl Responder {
    /// `prepared` makes its parts of `_page` when they are asked for; `None` where every response is
    /// to be made by calling `response_class`.
    #[new]
    fn new(response_class: Py<PyType>, prepared: Option<Bound<'_, PyType>>) -> PyResult<Self> {
        let prepared = prepared
            .map(|class| PyTuple::new(class.py(), [&class]))
            .transpose()?;
        Ok(Self {
            class: response_class,
            prepared: prepared.map(Bound::unbind),
        })
    }

    fn __call__<'py>(&self, page: &Bound<'py, Page>) -> PyResult<Bound<'py, PyAny>> {
        self.respond(page)
    }
}

impl Responder {
    pub(crate) fn respond<'py>(&self, page: &Bound<'py, Page>) -> PyResult<Bound<'py, PyAny>> {
        let (py, found) = (page.py(), page.get());
        match &self.prepared {
            Some(prepared) if found.plain() => {
                let response = new_object(py)?.call1(prepared.bind(py))?;
                response.setattr(intern!(py, "_page"), page)?;
                Ok(response)
            }
            _ => {
                let parts = (found.body(py), found.status(), found.headers(py));
                self.class.bind(py).call1(parts)
            }
        }
    }
}

impl Responder {
    /// What a request is sent for a stored value; `None` where that takes a response. `text` are the headers
    /// of the response to a text, if they are known.
    pub(crate) fn sent<'py>(
        &self,
        environ: &Bound<'py, PyDict>,
        value: &Bound<'py, PyAny>,
        text: Option<&[Py<PyTuple>]>,
    ) -> PyResult<Option<Sent<'py>>> {
        let py = environ.py();
        if let Ok(page) = value.cast_exact::<Page>() {
            return self.page(environ, page);
        }
        let Some(headers) = text else {
            return Ok(None);
        };
        let body = if let Ok(bytes) = value.cast_exact::<PyBytes>() {
            bytes.clone()
        } else if let Ok(text) = value.cast_exact::<PyString>() {
            PyBytes::new(py, text.to_str()?.as_bytes())
        } else {
            return Ok(None);
        };
        let own = PyList::empty(py);
        let name = intern!(py, "Content-Length");
        for pair in headers {
            let pair = pair.bind(py);
            if pair.get_borrowed_item(0)?.eq(name)? {
                let length = body.as_bytes().len().to_string();
                own.append(PyTuple::new(py, [name, &PyString::new(py, &length)])?)?;
            } else {
                own.append(pair)?;
            }
        }
        let line = intern!(py, "200 OK").clone();
        Ok(Some(Sent {
            line,
            headers: own,
            body,
        }))
    }

    /// As `sent`, for a page.
    pub(crate) fn page<'py>(
        &self,
        environ: &Bound<'py, PyDict>,
        page: &Bound<'py, Page>,
    ) -> PyResult<Option<Sent<'py>>> {
        let (py, found) = (page.py(), page.get());
        if self.prepared.is_none() || !found.plain() {
            return Ok(None);
        }
        if found.status() != 200 {
            // Without a body the headers of other answers are others.
            let method = wire(environ, intern!(py, "REQUEST_METHOD"))?;
            if method.is_none_or(|method| !matches!(method.text(), Ok("GET"))) {
                return Ok(None);
            }
        }
        Ok(Some(Sent {
            line: found.line(py),
            headers: found.headers(py),
            body: found.body(py),
        }))
    }
}

/// `object.__new__`.
fn new_object(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static NEW: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let new = once(py, &NEW, || {
        let object = py.get_type::<PyAny>();
        object.getattr("__new__").map(Bound::unbind)
    })?;
    Ok(new.bind(py))
}
