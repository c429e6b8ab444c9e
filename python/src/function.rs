//! A cached function, as its callers see it: a callable that answers hits without running Python.

use std::sync::{Arc, Mutex, PoisonError};

use larder_core::Store;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};

use crate::engine::Engine;
use crate::forking::once;
use crate::plan::{Looked, Plan, Rule, Watched};
use crate::stats::FunctionStats;
use crate::value::PyValue;

/// A function whose answers are cached.
///
/// Everything that is not a plain hit in memory goes to `answer(args, kwargs)`, which is Python and
/// knows all the rules. A plan, given by `arm`, says when a hit may be answered here. Where that took
/// people's own code, a third argument is what came of it: the key, or an exception.
#[pyclass(frozen, dict, weakref, module = "flask_larder._native")]
pub struct CachedFunction {
    answer: Py<PyAny>,
    plan: Mutex<Option<Arc<Plan>>>,
    make_cache_key: Mutex<Option<Py<PyAny>>>,
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
        let made = match plan.map(|plan| plan.look(py, args, kwargs)).transpose()? {
            Some(Looked::Hit(value)) => return Ok(value),
            Some(Looked::Made(made)) => Some(made),
            Some(Looked::Nothing) | None => None,
        };
        let kwargs = kwargs.cloned().unwrap_or_else(|| PyDict::new(py));
        match made {
            None => self.answer.bind(py).call1((args, kwargs)),
            Some(made) => self.answer.bind(py).call1((args, kwargs, made)),
        }
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
        let method = once(py, &METHOD, || {
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

    /// Lets hits of `rule` in `engine` be answered without Python, for callers in the context of
    /// `app`, and as long as what `watched` names is where it is: members of dicts and attributes of
    /// classes, each with the very object that is expected there. Answers whether that is possible: it
    /// is for a store that has entries at hand in this process, or that is read without holding anybody
    /// up.
    #[pyo3(signature = (engine, cache, app, rule, stats, respond, watched=Vec::new()))]
    #[expect(
        clippy::too_many_arguments,
        reason = "one call for each function and store"
    )]
    fn arm(
        &self,
        engine: &Engine,
        cache: Py<PyAny>,
        app: Py<PyAny>,
        rule: &Bound<'_, PyAny>,
        stats: Py<FunctionStats>,
        respond: Py<PyAny>,
        watched: Vec<Watched>,
    ) -> PyResult<bool> {
        let store = engine.cache.store();
        let at_hand = Store::<PyValue>::keeps_at_hand(store);
        let reads = !at_hand && !store.may_block() && !store.may_wait();
        if !at_hand && !reads {
            return Ok(false);
        }
        let plan = Plan {
            entries: engine.cache.clone(),
            reads,
            app,
            cache,
            watched,
            rule: Rule::of(rule)?,
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
