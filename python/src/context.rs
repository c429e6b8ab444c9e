//! Which application and which request this is.
//!
//! Flask keeps both in context variables. They are looked up once, by name; where a version of Flask
//! has others, `flask_larder._context` asks its proxies instead.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::forking::once;

struct Source {
    variable: Option<Variable>,
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
        let variable = variable.map(Variable::new).transpose()?;
        let fallback = py.import("flask_larder._context")?.getattr(fallback)?;
        Ok(Self {
            variable,
            fallback: fallback.unbind(),
        })
    }

    /// The attribute `name` of the context, or `None` where there is no context.
    fn read<'py>(
        &self,
        py: Python<'py>,
        name: &Bound<'py, pyo3::types::PyString>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let found = match &self.variable {
            None => self.fallback.bind(py).call0()?,
            Some(variable) => match variable.get(py)? {
                Some(context) => context.getattr(name)?,
                None => return Ok(None),
            },
        };
        Ok((!found.is_none()).then_some(found))
    }
}

/// A context variable that is asked on every hit.
#[cfg(not(feature = "abi3"))]
struct Variable(Py<PyAny>);

#[cfg(not(feature = "abi3"))]
impl Variable {
    #[expect(clippy::unnecessary_wraps, reason = "the other one may fail")]
    fn new(variable: Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(variable.unbind()))
    }

    /// What it is set to; `None` also where that is `None`.
    #[inline]
    #[expect(
        unsafe_code,
        reason = "a fifth of a memoized hit is saved: no call of a method"
    )]
    fn get<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let mut value = std::ptr::null_mut();
        let default = std::ptr::null_mut();
        // SAFETY: `Source::find` has seen that this is a `ContextVar`, and keeps it alive. What is put
        // into `value` is a reference of our own, or null where it is not set and there is no default.
        let found = unsafe {
            if pyo3::ffi::PyContextVar_Get(self.0.as_ptr(), default, &raw mut value) < 0 {
                return Err(PyErr::fetch(py));
            }
            Bound::from_owned_ptr_or_opt(py, value)
        };
        Ok(found.filter(|found| !found.is_none()))
    }
}

/// A context variable that is asked on every hit.
#[cfg(feature = "abi3")]
struct Variable {
    /// Its `get`, bound to it.
    get: Py<PyAny>,
    /// The arguments, made once.
    none: Py<pyo3::types::PyTuple>,
}

#[cfg(feature = "abi3")]
impl Variable {
    fn new(variable: Bound<'_, PyAny>) -> PyResult<Self> {
        let py = variable.py();
        Ok(Self {
            get: variable.getattr("get")?.unbind(),
            none: pyo3::types::PyTuple::new(py, [py.None()])?.unbind(),
        })
    }

    /// What it is set to; `None` also where that is `None`.
    fn get<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let found = self.get.bind(py).call1(self.none.bind(py))?;
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
