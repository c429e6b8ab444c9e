//! Which application and which request this is.
//!
//! Flask keeps both in context variables. They are looked up once, by name; where a version of Flask
//! has others, `flask_larder._context` asks its proxies instead.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;

use crate::forking::once;

struct Source {
    /// The `get` of the context variable, bound to it.
    get: Option<Py<PyAny>>,
    /// Its arguments, made once: this is asked on every hit.
    none: Py<PyTuple>,
    fallback: Py<PyAny>,
}

impl Source {
    fn find(py: Python<'_>, variable: &str, fallback: &str) -> PyResult<Self> {
        let globals = py.import("flask.globals")?;
        let variable = globals.getattr(variable).ok().filter(|found| {
            found
                .get_type()
                .name()
                .is_ok_and(|name| name == "ContextVar")
        });
        let get = variable
            .map(|variable| variable.getattr("get"))
            .transpose()?;
        let none = PyTuple::new(py, [py.None()])?.unbind();
        let fallback = py.import("flask_larder._context")?.getattr(fallback)?;
        Ok(Self {
            get: get.map(Bound::unbind),
            none,
            fallback: fallback.unbind(),
        })
    }

    /// The attribute `name` of the context, or `None` where there is no context.
    fn read<'py>(
        &self,
        py: Python<'py>,
        name: &Bound<'py, pyo3::types::PyString>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let found = match &self.get {
            None => self.fallback.bind(py).call0()?,
            Some(get) => {
                let context = get.bind(py).call1(self.none.bind(py))?;
                if context.is_none() {
                    return Ok(None);
                }
                context.getattr(name)?
            }
        };
        Ok((!found.is_none()).then_some(found))
    }
}

static APP: PyOnceLock<Source> = PyOnceLock::new();
static REQUEST: PyOnceLock<Source> = PyOnceLock::new();

/// The application whose context is pushed.
pub(crate) fn current_app(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    let source = once(py, &APP, || Source::find(py, "_cv_app", "current_app"))?;
    source.read(py, intern!(py, "app"))
}

/// The request that is being answered.
pub(crate) fn current_request(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    let find = || Source::find(py, "_cv_request", "current_request");
    once(py, &REQUEST, find)?.read(py, intern!(py, "request"))
}

/// The application whose context is pushed, or `None`.
#[pyfunction(name = "current_app")]
fn current_app_or_none(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    current_app(py)
}

/// The request that is being answered, or `None`.
#[pyfunction(name = "current_request")]
fn current_request_or_none(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    current_request(py)
}

pub(crate) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(current_app_or_none, m)?)?;
    m.add_function(wrap_pyfunction!(current_request_or_none, m)?)
}
