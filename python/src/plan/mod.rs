//! When a hit may be answered without asking Python, and how.

mod near;

use std::sync::Arc;

use larder_core::store::Expected;
use larder_core::{Entry, Freshness, Hit, Key as CoreKey, Served, Store, Tags};
use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::classic::ClassicCall;
use crate::classic_view::ClassicView;
use crate::context::{current_app, current_request};
use crate::engine::CoreCache;
use crate::http::{HttpResponder, may_want_less};
use crate::key::Key;
use crate::recent::Recent;
use crate::respond::Responder;
use crate::signature::{NoKey, Signature};
use crate::stats::FunctionStats;
use crate::value::{Page, PyValue};
use crate::view::ViewKey;
use crate::waiting::{is_greenlet, run};

/// A key rule with a store: everything that a plain hit takes.
#[pyclass(frozen, module = "flask_larder._native")]
pub struct Plan {
    /// The engine's cache.
    pub(crate) entries: CoreCache,
    /// Whether what is not at hand is read all the same: from a store that takes microseconds and holds
    /// nobody up.
    pub(crate) reads: bool,
    /// The tags of every call's policy, where what is not at hand is read from a server if a hit is to be
    /// expected there; `None` where it is not.
    pub(crate) far: Option<Tags>,
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
    /// Whether that is an `HttpResponder`.
    pub(crate) http: bool,
    /// What was answered a moment ago.
    pub(crate) recent: Recent,
}

/// What came of a look into the store.
pub(crate) enum Looked<'py> {
    /// What the caller gets, and the request whose key it was found under, if it was made of one.
    Hit(Bound<'py, PyAny>, Option<Request<'py>>),
    /// No plain hit; the key that was made, or the exception that came of making it.
    Made(Bound<'py, PyAny>),
    /// No plain hit, and nothing that Python would have to do again.
    Nothing,
}

/// A member of a dict, or an attribute of a class: where it is, its key or its name, and the very object
/// that is expected there.
pub(crate) type Watched = (Py<PyAny>, Py<PyAny>, Py<PyAny>);

/// A request, and its environment.
pub(crate) type Request<'py> = (Bound<'py, PyAny>, Bound<'py, PyDict>);

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

#[pymethods]
impl Plan {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.app)?;
        visit.call(&self.cache)?;
        visit.call(&self.stats)?;
        visit.call(&self.respond)?;
        for (place, key, expected) in &self.watched {
            visit.call(place)?;
            visit.call(key)?;
            visit.call(expected)?;
        }
        self.rule.traverse(&visit)
    }
}

impl Plan {
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
        if let Some(memory) = self.entries.store().as_memory()
            && let Some(looked) = self.near(py, memory, (args, kwargs), started)?
        {
            return Ok(looked);
        }
        let mut request = None;
        let key = match self.key(py, args, kwargs, &mut request) {
            Ok(Some(key)) => key,
            Ok(None) => return Ok(Looked::Nothing),
            Err(error) => return self.failed(py, error),
        };
        if (self.reads || self.far.is_some()) && self.wants_less(request.as_ref())? {
            // Python reads no body for it.
            return Ok(Looked::Nothing);
        }
        let Some(hit) = self.found(py, request.as_ref().map(|(_, environ)| environ), &key)? else {
            return self.missed(py, key);
        };
        let asked = request
            .as_ref()
            .map(|(request, environ)| (request, environ));
        let Some(answer) = self.answer(py, asked, (key, &hit))? else {
            return Ok(Looked::Nothing);
        };
        stats.hit(py, hit.entry.cost(), started);
        Ok(Looked::Hit(answer, request))
    }

    /// Whether a request gets no body of a page, or may have it already.
    fn wants_less(&self, request: Option<&Request<'_>>) -> PyResult<bool> {
        match request {
            Some((_, environ)) if self.http => may_want_less(environ),
            _ => Ok(false),
        }
    }

    /// What a caller gets for a hit; `None` where Python has to say.
    fn answer<'py>(
        &self,
        py: Python<'py>,
        request: Option<(&Bound<'py, PyAny>, &Bound<'py, PyDict>)>,
        (key, hit): (CoreKey, &Hit<PyValue>),
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let value = hit.value().give(py)?;
        if !self.http {
            return self.given(py, value).map(Some);
        }
        let respond = self.respond.bind(py).cast_exact::<HttpResponder>()?;
        match (value.cast_exact::<Page>(), request) {
            (Ok(page), Some((request, environ))) => {
                respond.get().respond(request, environ, page, (key, hit))
            }
            _ => Ok(None),
        }
    }

    /// What a caller gets for a value, which is a response where it is a page.
    fn given<'py>(&self, py: Python<'py>, value: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let Ok(page) = value.cast_exact::<Page>() else {
            return Ok(value);
        };
        let respond = self.respond.bind(py);
        match respond.cast_exact::<Responder>() {
            Ok(responder) => responder.get().respond(page),
            Err(_) => respond.call1((page,)),
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

    /// The key of a call; `None` where Python has to say what is to be done. The request that it was
    /// made of is handed out with its environment.
    fn key<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
        asked: &mut Option<Request<'py>>,
    ) -> PyResult<Option<CoreKey>> {
        match &self.rule {
            Rule::Function(signature) => match signature.get().key(py, args, kwargs) {
                Ok(key) => Ok(Some(key)),
                Err(NoKey::Raised(error)) => Err(error),
                Err(_) => Ok(None),
            },
            Rule::View(view) => {
                let Some((request, environ)) = asked_of(py)? else {
                    return Ok(None);
                };
                let key = view.get().key_in(&request, &environ, None)?;
                *asked = Some((request, environ));
                Ok(Some(key))
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

    /// What is fresh for a request: the page in the coding that it gets, where that lies by itself.
    pub(super) fn found(
        &self,
        py: Python<'_>,
        environ: Option<&Bound<'_, PyDict>>,
        key: &CoreKey,
    ) -> PyResult<Option<Hit<PyValue>>> {
        let tags = self.far.as_deref().unwrap_or_default();
        if let Some(environ) = environ
            && let Ok(http) = self.respond.bind(py).cast_exact::<HttpResponder>()
            && let Some(form) = http.get().coded_at(&self.entries, key, environ, tags)?
            && let Some(hit) = self.fresh(py, &form)
        {
            return Ok(Some(hit));
        }
        Ok(self.fresh(py, key))
    }

    fn fresh(&self, py: Python<'_>, key: &CoreKey) -> Option<Hit<PyValue>> {
        let entry = match self.entries.at_hand(key) {
            // A store that fails is Python's to deal with.
            None if self.reads => run(py, false, self.entries.get_entry(key)).ok()?.ok()?,
            None => self.expected(py, key)?,
            entry => entry,
        }?;
        let (at, served) = (self.entries.clock().now(), Served::Fresh);
        let fresh = entry.freshness(at) == Freshness::Fresh;
        fresh.then_some(Hit { entry, served, at })
    }

    /// Reads a server on this thread, which may wait for it, where something fresh is to be expected
    /// there. Whatever else comes of it is Python's to deal with.
    fn expected(&self, py: Python<'_>, key: &CoreKey) -> Option<Option<Arc<Entry<PyValue>>>> {
        let tags = self.far.as_deref()?;
        if self.entries.store().expects(key, tags) != Expected::Hit || is_greenlet(py) {
            return None;
        }
        run(py, true, self.entries.get_expected(key, tags))
            .ok()?
            .ok()
    }

    /// Appends the version that is stored under `key`; `None` if there is none that is a text.
    fn write_version(&self, py: Python<'_>, key: &CoreKey, text: &mut String) -> Option<()> {
        let version = self.fresh(py, key)?.value().give(py).ok()?;
        text.push_str(version.cast_exact::<PyString>().ok()?.to_str().ok()?);
        Some(())
    }
}

/// The request that is being answered, if answers to it may come from the cache without a closer look.
fn asked_of(py: Python<'_>) -> PyResult<Option<Request<'_>>> {
    let Some(request) = current_request(py)? else {
        return Ok(None);
    };
    // What stands in the place of a dict notes what is read, which is for Python to tell.
    let environ = request.getattr(intern!(py, "environ"))?;
    let Ok(environ) = environ.cast_into_exact::<PyDict>() else {
        return Ok(None);
    };
    Ok(may_be_cached(&environ)?.then_some((request, environ)))
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
