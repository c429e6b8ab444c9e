//! When a hit may be answered without asking Python, and how.

use std::sync::Arc;

use larder_core::{Entry, Freshness, Key as CoreKey};
use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::classic::ClassicCall;
use crate::classic_view::ClassicView;
use crate::context::{current_app, current_request};
use crate::engine::CoreCache;
use crate::key::Key;
use crate::respond::Responder;
use crate::signature::{NoKey, Signature};
use crate::stats::FunctionStats;
use crate::value::{Page, PyValue};
use crate::view::{ViewKey, environ_of};
use crate::waiting::run;

/// A key rule with a store: everything that a plain hit takes.
pub(crate) struct Plan {
    /// The engine's cache.
    pub(crate) entries: CoreCache,
    /// Whether what is not at hand is read all the same: from a store that takes microseconds and holds
    /// nobody up.
    pub(crate) reads: bool,
    /// The application that the store belongs to.
    pub(crate) app: Py<PyAny>,
    /// The cache, whose `app` is the one for callers outside of every context.
    pub(crate) cache: Py<PyAny>,
    /// What must still be where it was when the plan was made.
    pub(crate) watched: Vec<Watched>,
    pub(crate) rule: Rule,
    pub(crate) stats: Py<FunctionStats>,
    /// Makes a response of a stored page.
    pub(crate) respond: Py<PyAny>,
}

/// What came of a look into the store.
pub(crate) enum Looked<'py> {
    Hit(Bound<'py, PyAny>),
    /// No plain hit; the key that was made, or the exception that came of making it.
    Made(Bound<'py, PyAny>),
    /// No plain hit, and nothing that Python would have to do again.
    Nothing,
}

/// A member of a dict, or an attribute of a class: where it is, its key or its name, and the very object
/// that is expected there.
pub(crate) type Watched = (Py<PyAny>, Py<PyAny>, Py<PyAny>);

/// How calls become keys.
pub(crate) enum Rule {
    Function(Py<Signature>),
    View(Py<ViewKey>),
    ClassicCall(Py<ClassicCall>),
    ClassicView(Py<ClassicView>),
    /// Somebody's own: a callable that takes `args` and `kwargs`, and answers a `Key`.
    Asked(Py<PyAny>),
}

impl Rule {
    /// The rule that Python handed over.
    pub(crate) fn of(rule: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(rule) = rule.cast::<Signature>() {
            return Ok(Self::Function(rule.clone().unbind()));
        }
        if let Ok(rule) = rule.cast::<ViewKey>() {
            return Ok(Self::View(rule.clone().unbind()));
        }
        if let Ok(rule) = rule.cast::<ClassicCall>() {
            return Ok(Self::ClassicCall(rule.clone().unbind()));
        }
        if let Ok(rule) = rule.cast::<ClassicView>() {
            return Ok(Self::ClassicView(rule.clone().unbind()));
        }
        if rule.is_callable() {
            return Ok(Self::Asked(rule.clone().unbind()));
        }
        Err(PyTypeError::new_err(
            "rule is neither a key rule nor a callable",
        ))
    }

    /// Whether the key is Flask-Caching's, which takes people's own code to make.
    fn is_classic(&self) -> bool {
        !matches!(self, Self::Function(_) | Self::View(_))
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Function(rule) => visit.call(rule),
            Self::View(rule) => visit.call(rule),
            Self::ClassicCall(rule) => visit.call(rule),
            Self::ClassicView(rule) => visit.call(rule),
            Self::Asked(rule) => visit.call(rule),
        }
    }
}

impl Plan {
    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.app)?;
        visit.call(&self.cache)?;
        visit.call(&self.stats)?;
        visit.call(&self.respond)?;
        for (place, key, expected) in &self.watched {
            visit.call(place)?;
            visit.call(key)?;
            visit.call(expected)?;
        }
        self.rule.traverse(visit)
    }

    /// What is to be had for a call without asking Python.
    pub(crate) fn look<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Looked<'py>> {
        let stats = self.stats.get();
        let started = stats.start();
        if !self.holds(py)? {
            return Ok(Looked::Nothing);
        }
        let key = match self.key(py, args, kwargs) {
            Ok(Some(key)) => key,
            Ok(None) => return Ok(Looked::Nothing),
            Err(error) => return self.failed(py, error),
        };
        let Some(entry) = self.fresh(py, &key) else {
            return self.missed(py, key);
        };
        let value = entry.value.give(py)?;
        stats.hit(entry.meta.cost, started);
        let Ok(page) = value.cast_exact::<Page>() else {
            return Ok(Looked::Hit(value));
        };
        match self.respond.bind(py).cast_exact::<Responder>() {
            Ok(responder) => responder.get().respond(page).map(Looked::Hit),
            Err(_) => self.respond.bind(py).call1((page,)).map(Looked::Hit),
        }
    }

    /// Hands an error of a classic key on to Python, which knows whether it is logged or raised. What
    /// ends the program ends it here.
    fn failed<'py>(&self, py: Python<'py>, error: PyErr) -> PyResult<Looked<'py>> {
        if self.rule.is_classic() && error.is_instance_of::<PyException>(py) {
            return Ok(Looked::Made(error.into_value(py).into_bound(py).into_any()));
        }
        Err(error)
    }

    fn missed<'py>(&self, py: Python<'py>, key: CoreKey) -> PyResult<Looked<'py>> {
        if self.rule.is_classic() {
            return Ok(Looked::Made(Bound::new(py, Key(key))?.into_any()));
        }
        Ok(Looked::Nothing)
    }

    /// Whether the caller is in the plan's application, and everything is where it was.
    fn holds(&self, py: Python<'_>) -> PyResult<bool> {
        let here = match current_app(py)? {
            Some(app) => app.is(&self.app),
            None => {
                let home = self.cache.bind(py).getattr(intern!(py, "app"))?;
                home.is(&self.app)
            }
        };
        if !here {
            return Ok(false);
        }
        for (place, key, expected) in &self.watched {
            let found = match place.bind(py).cast::<PyDict>() {
                Ok(dict) => dict.get_item(key)?,
                Err(_) => place
                    .bind(py)
                    .getattr_opt(key.bind(py).cast::<PyString>()?)?,
            };
            if !found.is_some_and(|found| found.is(expected)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The key of a call; `None` where Python has to say what is to be done.
    fn key<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Option<CoreKey>> {
        match &self.rule {
            Rule::Function(signature) => match signature.get().key(py, args, kwargs) {
                Ok(key) => Ok(Some(key)),
                Err(NoKey::Raised(error)) => Err(error),
                Err(_) => Ok(None),
            },
            Rule::View(view) => {
                let Some(request) = current_request(py)? else {
                    return Ok(None);
                };
                let environ = environ_of(&request)?;
                if !may_be_cached(&environ)? {
                    return Ok(None);
                }
                view.get().key_in(&request, &environ, None).map(Some)
            }
            Rule::ClassicCall(rule) => {
                let rule = rule.get();
                let parts = rule.read(py, args, kwargs)?;
                Ok(rule.key(parts, |key, text| self.write_version(py, key, text)))
            }
            Rule::ClassicView(rule) => rule.get().key(py, args, kwargs),
            Rule::Asked(rule) => {
                let none = PyDict::new(py);
                let key = rule.bind(py).call1((args, kwargs.unwrap_or(&none)))?;
                Ok(Some(key.cast::<Key>()?.get().0.clone()))
            }
        }
    }

    fn fresh(&self, py: Python<'_>, key: &CoreKey) -> Option<Arc<Entry<PyValue>>> {
        let entry = match self.entries.at_hand(key) {
            // A store that fails is Python's to deal with.
            None if self.reads => run(py, false, self.entries.get_entry(key)).ok()?.ok()?,
            entry => entry,
        }?;
        let now = self.entries.clock().now();
        (entry.meta.freshness(now) == Freshness::Fresh).then_some(entry)
    }

    /// Appends the version that is stored under `key`; `None` if there is none that is a text.
    fn write_version(&self, py: Python<'_>, key: &CoreKey, text: &mut String) -> Option<()> {
        let version = self.fresh(py, key)?.value.give(py).ok()?;
        text.push_str(version.cast_exact::<PyString>().ok()?.to_str().ok()?);
        Some(())
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
