//! Responses of stored pages.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};

use crate::forking::once;
use crate::value::Page;

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

/// `object.__new__`.
fn new_object(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static NEW: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let new = once(py, &NEW, || {
        let object = py.get_type::<PyAny>();
        object.getattr("__new__").map(Bound::unbind)
    })?;
    Ok(new.bind(py))
}
