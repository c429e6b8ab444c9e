//! Hits that are answered before Flask is asked: the WSGI level.
//!
//! It keeps no answers. It knows which view an address leads to, makes the very key that the view would
//! make, and asks the same store; whatever purges an entry purges it here.

mod guard;
mod routes;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

use crate::ending;
use crate::function::CachedFunction;
use crate::view::{text, wire};
use guard::Guard;
pub(crate) use routes::Route;
use routes::Routes;

/// Whether there is a level that could ask to be told of hits.
static ANY: AtomicBool = AtomicBool::new(false);

/// What is sent for a hit.
pub(crate) struct Sent<'py> {
    pub(crate) line: Bound<'py, PyString>,
    /// A list of the request's own.
    pub(crate) headers: Bound<'py, PyList>,
    pub(crate) body: Bound<'py, PyBytes>,
}

/// The WSGI application that stands before Flask's own.
#[pyclass(frozen, weakref, module = "flask_larder._native")]
pub struct EarlyHits {
    app: Py<PyAny>,
    /// What answers everything that is no early hit.
    inner: Py<PyAny>,
    /// Called with a view and its request when the view has served a hit: answers a `Guard`, or `None`
    /// where its hits are Flask's to answer.
    judge: Py<PyAny>,
    routes: Mutex<Routes>,
    /// The guard that was made last.
    latest: Mutex<Option<Py<Guard>>>,
}

/// The address of a request whose view is asked to remember where it leads to.
#[pyclass(frozen, module = "flask_larder._native")]
struct Unknown {
    level: Py<EarlyHits>,
    place: Box<[u8]>,
}

#[pymethods]
impl EarlyHits {
    #[new]
    fn new(app: Py<PyAny>, inner: Py<PyAny>, judge: Py<PyAny>) -> Self {
        ANY.store(true, Ordering::Relaxed);
        Self {
            app,
            inner,
            judge,
            routes: Mutex::default(),
            latest: Mutex::new(None),
        }
    }

    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        environ: &Bound<'py, PyAny>,
        start_response: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        // What cannot be read here is Flask's to complain of.
        if let Ok(environ) = environ.cast_exact::<PyDict>()
            && let Ok(Some(sent)) = Self::sent(slf, environ)
        {
            ending::call(start_response, (sent.line, sent.headers))?;
            let body = PyList::empty(slf.py());
            if !is_head(environ)? {
                body.append(sent.body)?;
            }
            return Ok(body.into_any());
        }
        ending::call(slf.get().inner.bind(slf.py()), (environ, start_response))
    }

    /// What answers everything that is no early hit.
    #[getter]
    fn inner(&self, py: Python<'_>) -> Py<PyAny> {
        self.inner.clone_ref(py)
    }

    /// What finds out whether the hits of a view are answered early.
    #[getter]
    fn judge(&self, py: Python<'_>) -> Py<PyAny> {
        self.judge.clone_ref(py)
    }

    /// How many addresses are known.
    #[getter]
    fn known(&self) -> usize {
        self.routes().len()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.app)?;
        visit.call(&self.inner)?;
        visit.call(&self.judge)?;
        // Whoever holds a lock is in the middle of a call, and what is called is alive.
        if let Ok(latest) = self.latest.try_lock() {
            visit.call(&*latest)?;
        }
        if let Ok(routes) = self.routes.try_lock() {
            routes.all().try_for_each(|route| route.traverse(&visit))?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        self.forget();
    }
}

impl EarlyHits {
    fn routes(&self) -> MutexGuard<'_, Routes> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn latest(&self, py: Python<'_>) -> Option<Py<Guard>> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.as_ref().map(|guard| guard.clone_ref(py))
    }

    fn forget(&self) {
        let (routes, mut latest) = (
            self.routes().forget(),
            self.latest.lock().unwrap_or_else(PoisonError::into_inner),
        );
        let guard = latest.take();
        drop(latest);
        drop((routes, guard));
    }

    /// What is sent to a request, where it is a hit that nobody else has a say in. Where its address is
    /// not known, its view is asked to remember it.
    fn sent<'py>(
        slf: &Bound<'py, Self>,
        environ: &Bound<'py, PyDict>,
    ) -> PyResult<Option<Sent<'py>>> {
        let (py, level) = (slf.py(), slf.get());
        let Some(place) = place_of(environ)? else {
            return Ok(None);
        };
        let found = level.routes().find(&place);
        if let Some(route) = found
            && route.guard.get().holds(py)?
            && route
                .guard
                .get()
                .leads_to(route.endpoint.bind(py), route.view.bind(py))?
        {
            if let Some(cookies) = wire(environ, intern!(py, "HTTP_COOKIE"))?
                && route.guard.get().is_watched_for(cookies.text()?)
            {
                return Ok(None);
            }
            // Flask reads the query of each request, and fails for what no server hands over.
            if let Some(query) = wire(environ, intern!(py, "QUERY_STRING"))?
                && !query.text()?.is_ascii()
            {
                return Ok(None);
            }
            let Some(plan) = route.view.get().plan(py) else {
                return Ok(None);
            };
            return plan.get().early(py, &level.app, environ, &route);
        }
        if let Some(latest) = level.latest(py)
            && !latest.get().holds(py)?
        {
            // Flask may take note of what has changed before anybody looks here again.
            level.forget();
        }
        let unknown = Unknown {
            level: slf.clone().unbind(),
            place: place.into(),
        };
        environ.set_item(intern!(py, "larder.early"), Bound::new(py, unknown)?)?;
        Ok(None)
    }

    fn learn(
        &self,
        view: &Bound<'_, CachedFunction>,
        request: &Bound<'_, PyAny>,
        place: &[u8],
    ) -> PyResult<()> {
        let py = view.py();
        let judged = ending::call(self.judge.bind(py), (view, request))?;
        let Ok(guard) = judged.cast_into_exact::<Guard>() else {
            return Ok(());
        };
        let route = Route {
            view: view.clone().unbind(),
            endpoint: request.getattr(intern!(py, "endpoint"))?.unbind(),
            path: text(&request.getattr(intern!(py, "path"))?)?.into(),
            guard: guard.clone().unbind(),
        };
        // Somebody may have changed the application since the judgement. To keep one that is out of date would
        // have the next request forget what others have learned from the change.
        if !guard.get().holds(py)? {
            return Ok(());
        }
        let replaced = {
            let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
            latest.replace(guard.unbind())
        };
        let forgotten = self.routes().learn(place.into(), route);
        drop((replaced, forgotten));
        Ok(())
    }
}

/// Remembers where the address of a request leads to, if the level in front of Flask has asked for that:
/// `view` has just served a hit for it.
pub(crate) fn remember(
    view: &Bound<'_, CachedFunction>,
    request: &Bound<'_, PyAny>,
    environ: &Bound<'_, PyDict>,
) -> PyResult<()> {
    if !ANY.load(Ordering::Relaxed) {
        return Ok(());
    }
    let py = view.py();
    let Some(asked) = environ.get_item(intern!(py, "larder.early"))? else {
        return Ok(());
    };
    let Ok(asked) = asked.cast_exact::<Unknown>() else {
        return Ok(());
    };
    let asked = asked.get();
    // Somebody may have changed the environment since, or made another one of it.
    if place_of(environ)?.is_some_and(|place| *place == *asked.place) {
        asked.level.get().learn(view, request, &asked.place)?;
    }
    Ok(())
}

/// What decides where a request is led to; `None` for a request that is Flask's in any case.
fn place_of(environ: &Bound<'_, PyDict>) -> PyResult<Option<Vec<u8>>> {
    let py = environ.py();
    let Some(method) = wire(environ, intern!(py, "REQUEST_METHOD"))? else {
        return Ok(None);
    };
    let method = method.text()?;
    if !matches!(method, "GET" | "HEAD") {
        return Ok(None);
    }
    for name in [
        intern!(py, "HTTP_AUTHORIZATION"),
        // A web socket is another address.
        intern!(py, "HTTP_UPGRADE"),
        // Somebody wants to look into the contexts.
        intern!(py, "werkzeug.debug.preserve_context"),
    ] {
        if environ.contains(name)? {
            return Ok(None);
        }
    }
    let mut place = Vec::with_capacity(128);
    place.extend_from_slice(method.as_bytes());
    let host = intern!(py, "HTTP_HOST");
    let named = environ.contains(host)?;
    let host = [host, intern!(py, "SERVER_NAME"), intern!(py, "SERVER_PORT")];
    let host = if named { &host[..1] } else { &host[1..] };
    let rest = [
        intern!(py, "wsgi.url_scheme"),
        intern!(py, "SCRIPT_NAME"),
        intern!(py, "PATH_INFO"),
    ];
    for name in host.iter().chain(&rest) {
        // The length says where one text ends and the next begins.
        if let Some(value) = wire(environ, name)? {
            let value = value.text()?;
            place.extend_from_slice(&value.len().to_le_bytes());
            place.extend_from_slice(value.as_bytes());
        } else {
            place.extend_from_slice(&usize::MAX.to_le_bytes());
        }
    }
    Ok(Some(place))
}

fn is_head(environ: &Bound<'_, PyDict>) -> PyResult<bool> {
    let method = wire(environ, intern!(environ.py(), "REQUEST_METHOD"))?;
    Ok(method.is_some_and(|method| matches!(method.text(), Ok("HEAD"))))
}

pub(crate) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<EarlyHits>()?;
    m.add_class::<Guard>()
}
