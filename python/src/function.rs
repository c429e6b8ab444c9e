//! A cached function, as its callers see it: a callable that answers hits without running Python.

use std::sync::{Mutex, PoisonError};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};

use crate::cell::Cell;
use crate::early;
use crate::ending;
use crate::engine::Engine;
use crate::forking::once;
use crate::http::HttpResponder;
use crate::plan::{Looked, Plan, Rule, Watched};
use crate::policy::Policy;
#[cfg(not(feature = "abi3"))]
use crate::positions::Positions;
use crate::recent::Recent;
use crate::stats::FunctionStats;
#[cfg(not(feature = "abi3"))]
use crate::vector::{self, Entrance};

/// A function whose answers are cached.
///
/// Everything that is not a plain hit in memory goes to `answer(args, kwargs)`, which is Python and
/// knows all the rules. A plan, given by `arm`, says when a hit may be answered here. Where that took
/// people's own code, a third argument is what came of it: the key, or an exception.
#[pyclass(frozen, dict, weakref, module = "flask_larder._native")]
pub struct CachedFunction {
    /// There from the moment in which the object is whole. Python 3.11 and 3.12 make the dict of an object
    /// whose fields are still zeros, and may collect cycles meanwhile; so zeros have to mean nothing
    /// in each field that the collector is shown.
    answer: Option<Py<PyAny>>,
    plan: Cell<Option<Py<Plan>>>,
    make_cache_key: Mutex<Option<Py<PyAny>>>,
    #[cfg(not(feature = "abi3"))]
    pub(crate) entrance: Entrance,
}

#[pymethods]
impl CachedFunction {
    #[new]
    fn new(answer: Py<PyAny>) -> Self {
        Self {
            answer: Some(answer),
            plan: Cell::new(None),
            make_cache_key: Mutex::new(None),
            #[cfg(not(feature = "abi3"))]
            entrance: vector::entrance,
        }
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Self::answer(slf, args, kwargs)
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
    fn set_make_cache_key(&self, py: Python<'_>, function: Py<PyAny>) {
        self.disarm(py);
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
        if let Some(answer) = &self.answer {
            visit.call(answer)?;
        }
        // Whoever holds a lock is in the middle of a call, and what is called is alive.
        if let Ok(place) = self.make_cache_key.try_lock()
            && let Some(function) = place.as_ref()
        {
            visit.call(function)?;
        }
        let plan = |plan: &Option<Py<Plan>>| visit.call(plan);
        self.plan.seen(&visit, plan).unwrap_or(Ok(()))
    }

    fn __clear__(&self, py: Python<'_>) {
        self.set_plan(py, None);
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
    /// up; and for a server where `policy` is given, whose tags are those of every call: it is read where
    /// a hit is to be expected.
    #[pyo3(signature = (engine, cache, app, rule, stats, respond, watched=Vec::new(), policy=None))]
    #[expect(
        clippy::too_many_arguments,
        reason = "one call for each function and store"
    )]
    fn arm(
        &self,
        py: Python<'_>,
        engine: &Engine,
        cache: Py<PyAny>,
        app: Py<PyAny>,
        rule: &Bound<'_, PyAny>,
        stats: Py<FunctionStats>,
        respond: Py<PyAny>,
        watched: Vec<Watched>,
        policy: Option<Policy>,
    ) -> PyResult<bool> {
        let reach = engine.reach();
        let far = policy.filter(|_| engine.blocks).map(|policy| policy.0.tags);
        if reach.is_none() && far.is_none() {
            return Ok(false);
        }
        let http = respond.bind(py).cast_exact::<HttpResponder>().is_ok();
        let plan = Plan {
            entries: engine.cache.clone(),
            reads: reach == Some(true),
            far,
            app,
            cache,
            watched,
            rule: Rule::of(rule)?,
            stats,
            respond,
            http,
            recent: Recent::default(),
        };
        self.set_plan(py, Some(Py::new(py, plan)?));
        Ok(true)
    }

    /// Sends every call to Python again.
    fn disarm(&self, py: Python<'_>) {
        self.set_plan(py, None);
    }
}

impl CachedFunction {
    /// Answers a call.
    pub(crate) fn answer<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let plan = slf.get().plan(py);
        let look = |plan: &Bound<'py, Plan>| plan.get().look(py, args, kwargs);
        let looked = plan.as_ref().map_or(Ok(Looked::Nothing), look)?;
        Self::settle(slf, looked, || Ok(args.clone()), kwargs)
    }

    /// As `answer`, for a call without keywords whose arguments are in no tuple yet; `tuple` makes one.
    #[cfg(not(feature = "abi3"))]
    #[inline]
    pub(crate) fn answer_lined<'py>(
        slf: &Bound<'py, Self>,
        args: &impl Positions<'py>,
        tuple: impl FnOnce() -> PyResult<Bound<'py, PyTuple>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let Some(plan) = slf.get().plan(py) else {
            return Self::settle(slf, Looked::Nothing, tuple, None);
        };
        match plan.get().look_near(py, args)? {
            Some(looked) => Self::settle(slf, looked, tuple, None),
            None => Self::answer(slf, &tuple()?, None),
        }
    }

    /// What the caller gets after a look.
    #[inline]
    fn settle<'py>(
        slf: &Bound<'py, Self>,
        looked: Looked<'py>,
        args: impl FnOnce() -> PyResult<Bound<'py, PyTuple>>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let made = match looked {
            Looked::Hit(value, None) => return Ok(value),
            Looked::Hit(value, Some((request, environ))) => {
                if let Err(error) = early::remember(slf, &request, &environ) {
                    // The answer is right, whoever fails to learn from it.
                    error.write_unraisable(py, Some(slf));
                }
                return Ok(value);
            }
            Looked::Made(made) => Some(made),
            Looked::Nothing => None,
        };
        let kwargs = kwargs.cloned().unwrap_or_else(|| PyDict::new(py));
        let answer = slf.get().answer.as_ref();
        let answer = answer.expect("the object is whole").bind(py);
        match made {
            None => ending::call(answer, (args()?, kwargs)),
            Some(made) => ending::call(answer, (args()?, kwargs, made)),
        }
    }

    /// A function that answers nobody.
    #[cfg(not(feature = "abi3"))]
    pub(crate) fn nobody(py: Python<'_>) -> PyResult<Bound<'_, Self>> {
        Bound::new(py, Self::new(py.None()))
    }

    /// What answers plain hits, as long as that is possible.
    #[inline]
    pub(crate) fn plan<'py>(&self, py: Python<'py>) -> Option<Bound<'py, Plan>> {
        let plan = |plan: &mut Option<Py<Plan>>| Some(plan.as_ref()?.bind(py).clone());
        self.plan.with(py, plan).flatten()
    }

    fn set_plan(&self, py: Python<'_>, plan: Option<Py<Plan>>) {
        let old = self.plan.with(py, |place| std::mem::replace(place, plan));
        // Not within the cell: what dies may run people's code, and they may call the function.
        drop(old);
    }
}
