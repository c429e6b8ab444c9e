//! A cached function, as its callers see it: a callable that answers hits without running Python.

use std::sync::{Arc, Mutex, PoisonError};

use larder_core::store::Memory;
use larder_core::{Clock, Entry, Freshness};
use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::context::{current_app, current_request};
use crate::engine::Engine;
use crate::respond::Responder;
use crate::signature::{NoKey, Signature};
use crate::stats::FunctionStats;
use crate::value::{Page, PyValue};
use crate::view::{ViewKey, environ_of};

/// A function whose answers are cached.
///
/// Everything that is not a plain hit in memory goes to `answer(args, kwargs)`, which is Python and
/// knows all the rules. A plan, given by `arm`, says when a hit may be answered here.
#[pyclass(frozen, dict, weakref, module = "flask_larder._native")]
pub struct CachedFunction {
    answer: Py<PyAny>,
    plan: Mutex<Option<Arc<Plan>>>,
    make_cache_key: Mutex<Option<Py<PyAny>>>,
}

/// When a hit may be answered without asking Python, and how.
struct Plan {
    memory: Memory<PyValue>,
    clock: Arc<dyn Clock>,
    /// The application that the store belongs to.
    app: Py<PyAny>,
    rule: Rule,
    stats: Py<FunctionStats>,
    /// Makes a response of a stored page.
    respond: Py<PyAny>,
}

enum Rule {
    Function(Py<Signature>),
    View(Py<ViewKey>),
}

#[pymethods]
impl CachedFunction {
    #[new]
    fn new(answer: Py<PyAny>) -> Self {
        Self {
            answer,
            plan: Mutex::new(None),
            make_cache_key: Mutex::new(None),
        }
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let plan = self
            .plan
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(plan) = plan
            && let Some(value) = plan.hit(py, args, kwargs)?
        {
            return Ok(value);
        }
        let kwargs = kwargs.cloned().unwrap_or_else(|| PyDict::new(py));
        self.answer.bind(py).call1((args, kwargs))
    }

    fn __get__<'py>(
        slf: &Bound<'py, Self>,
        instance: &Bound<'py, PyAny>,
        _owner: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if instance.is_none() {
            return Ok(slf.clone().into_any());
        }
        static METHOD: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let py = slf.py();
        let method = METHOD.get_or_try_init(py, || {
            py.import("types")?.getattr("MethodType").map(Bound::unbind)
        })?;
        method.bind(py).call1((slf, instance))
    }

    /// What makes the key of a call, for people to read and to replace.
    #[getter]
    fn make_cache_key(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let place = self
            .make_cache_key
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        place.as_ref().map(|function| function.clone_ref(py))
    }

    /// A key function that somebody assigns has the last word on keys, so hits are no longer answered
    /// here.
    #[setter]
    fn set_make_cache_key(&self, function: Py<PyAny>) {
        self.disarm();
        let mut place = self
            .make_cache_key
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let old = place.replace(function);
        drop(place);
        drop(old);
    }

    /// The collector of cycles sees through: a function and what it is cached by hold one another.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.answer)?;
        // Whoever holds a lock is in the middle of a call, and what is called is alive.
        if let Ok(place) = self.make_cache_key.try_lock()
            && let Some(function) = place.as_ref()
        {
            visit.call(function)?;
        }
        if let Ok(place) = self.plan.try_lock()
            && let Some(plan) = place.as_deref()
        {
            plan.traverse(&visit)?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        self.set_plan(None);
        let key = self
            .make_cache_key
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(key);
    }

    /// Pickled by name, as functions are.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.getattr(intern!(slf.py(), "__qualname__"))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let name = slf.getattr(intern!(slf.py(), "__qualname__"));
        let name = name.map_or_else(|_| Ok("?".to_owned()), |name| name.extract::<String>())?;
        Ok(format!("<cached function {name}>"))
    }

    /// Lets hits of `rule` (a `Signature` or a `ViewKey`) in `engine` be answered without Python, for
    /// callers in the context of `app`. Answers whether that is possible: it is for a memory store.
    #[expect(
        clippy::too_many_arguments,
        reason = "one call for each function and store"
    )]
    fn arm(
        &self,
        engine: &Engine,
        app: Py<PyAny>,
        rule: &Bound<'_, PyAny>,
        stats: Py<FunctionStats>,
        respond: Py<PyAny>,
    ) -> PyResult<bool> {
        let Some(memory) = engine.cache.store().as_memory() else {
            return Ok(false);
        };
        let rule = if let Ok(signature) = rule.cast::<Signature>() {
            Rule::Function(signature.clone().unbind())
        } else if let Ok(view) = rule.cast::<ViewKey>() {
            Rule::View(view.clone().unbind())
        } else {
            return Err(PyTypeError::new_err("rule is a Signature or a ViewKey"));
        };
        let clock = Arc::clone(engine.cache.clock());
        let plan = Plan {
            memory: memory.clone(),
            clock,
            app,
            rule,
            stats,
            respond,
        };
        self.set_plan(Some(Arc::new(plan)));
        Ok(true)
    }

    /// Sends every call to Python again.
    fn disarm(&self) {
        self.set_plan(None);
    }
}

impl CachedFunction {
    fn set_plan(&self, plan: Option<Arc<Plan>>) {
        let mut place = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *place, plan);
        drop(place);
        drop(old);
    }
}

impl Plan {
    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.app)?;
        visit.call(&self.stats)?;
        visit.call(&self.respond)?;
        match &self.rule {
            Rule::Function(signature) => visit.call(signature),
            Rule::View(view) => visit.call(view),
        }
    }

    /// The answer to a call, if it is a plain hit.
    fn hit<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let stats = self.stats.get();
        let started = stats.start();
        if current_app(py)?.is_some_and(|app| !app.is(&self.app)) {
            return Ok(None);
        }
        let key = match &self.rule {
            Rule::Function(signature) => match signature.get().key(py, args, kwargs) {
                Ok(key) => key,
                Err(NoKey::Raised(error)) => return Err(error),
                Err(_) => return Ok(None),
            },
            Rule::View(view) => {
                let Some(request) = current_request(py)? else {
                    return Ok(None);
                };
                let environ = environ_of(&request)?;
                if !may_be_cached(&environ)? {
                    return Ok(None);
                }
                view.get().key_in(&request, &environ, None)?
            }
        };
        let Some(entry) = self.fresh(&key) else {
            return Ok(None);
        };
        let value = entry.value.give(py)?;
        stats.hit(entry.meta.cost, started);
        let Ok(page) = value.cast_exact::<Page>() else {
            return Ok(Some(value));
        };
        match self.respond.bind(py).cast_exact::<Responder>() {
            Ok(responder) => responder.get().respond(page).map(Some),
            Err(_) => self.respond.bind(py).call1((page,)).map(Some),
        }
    }

    fn fresh(&self, key: &larder_core::Key) -> Option<Arc<Entry<PyValue>>> {
        let entry = self.memory.read(key)?;
        (entry.meta.freshness(self.clock.now()) == Freshness::Fresh).then_some(entry)
    }
}

/// Whether answers to this request come from the cache without a closer look: GET or HEAD, and no
/// credentials.
fn may_be_cached(environ: &Bound<'_, PyDict>) -> PyResult<bool> {
    let py = environ.py();
    let Some(method) = environ.get_item(intern!(py, "REQUEST_METHOD"))? else {
        return Ok(false);
    };
    let safe = matches!(method.cast::<PyString>()?.to_str()?, "GET" | "HEAD");
    Ok(safe && !environ.contains(intern!(py, "HTTP_AUTHORIZATION"))?)
}
