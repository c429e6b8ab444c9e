//! Hits of entries in this process that were found a moment ago.

use std::time::{Duration, Instant};

use larder_core::store::Memory;
use larder_core::{Hit, Key as CoreKey, KeyWriter, Served};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::{Looked, Plan, Rule, asked_of};
use crate::early::{Route, Sent};
use crate::http::{HttpResponder, may_want_less};
use crate::positions::Positions;
use crate::recent::Near;
use crate::respond::Responder;
use crate::signature::NoKey;
use crate::value::PyValue;

/// What is stored for a call: the object itself, which nobody can change, and what it took to load; or a
/// hit under its key.
enum Stored<'py> {
    Object(Bound<'py, PyAny>, Duration),
    Hit(CoreKey, Hit<PyValue>),
}

impl Plan {
    /// As `look`, for a call without keywords that may have been answered a moment ago. `None` where that
    /// cannot be told by comparing bytes.
    #[cfg(not(feature = "abi3"))]
    #[inline]
    pub(crate) fn look_near<'py>(
        &self,
        py: Python<'py>,
        args: &impl Positions<'py>,
    ) -> PyResult<Option<Looked<'py>>> {
        let Some(memory) = self.entries.store().as_memory() else {
            return Ok(None);
        };
        let started = self.stats.get().start();
        if !self.holds(py)? {
            return Ok(Some(Looked::Nothing));
        }
        self.near(py, memory, (args, None), started)
    }

    /// What was answered a moment ago, or is now looked for. `None` where that cannot be told by comparing
    /// bytes.
    #[inline]
    pub(super) fn near<'py>(
        &self,
        py: Python<'py>,
        memory: &Memory<PyValue>,
        (args, kwargs): (&impl Positions<'py>, Option<&Bound<'py, PyDict>>),
        started: Option<Instant>,
    ) -> PyResult<Option<Looked<'py>>> {
        let mut call = self.recent.writer(py);
        let mut request = None;
        let looked = match &self.rule {
            Rule::Function(signature) => {
                let signature = signature.get();
                match signature.write(py, &mut call, args, kwargs) {
                    Ok(()) => self.find(py, (memory, &call), None, || Ok(signature.key_of(&call))),
                    Err(NoKey::Raised(error)) => Err(error),
                    Err(_) => Ok(None),
                }
            }
            Rule::View(view) => {
                let Some(asked) = asked_of(py)? else {
                    return Ok(Some(Looked::Nothing));
                };
                let view = view.get();
                // A path with lone surrogates takes another way.
                let path = asked
                    .0
                    .getattr(intern!(py, "path"))?
                    .cast_into::<PyString>()?;
                let Ok(path) = path.to_str() else {
                    return Ok(None);
                };
                if !view.sketch(&asked.1, path.as_bytes(), &mut call)? {
                    return Ok(None);
                }
                let (request, environ) = &*request.insert(asked);
                let key = || view.key_in(request, environ, None);
                self.find(py, (memory, &call), Some((request, environ)), key)
            }
            _ => return Ok(None),
        };
        self.recent.hand_back(py, call);
        let Some((answer, cost)) = looked? else {
            return Ok(Some(Looked::Nothing));
        };
        self.stats.get().hit(py, cost, started);
        Ok(Some(Looked::Hit(answer, request)))
    }

    /// What a call gets that is written down in `call`, and what it spared.
    #[inline]
    fn find<'py>(
        &self,
        py: Python<'py>,
        (memory, call): (&Memory<PyValue>, &KeyWriter),
        request: Option<(&Bound<'py, PyAny>, &Bound<'py, PyDict>)>,
        key: impl FnOnce() -> PyResult<CoreKey>,
    ) -> PyResult<Option<(Bound<'py, PyAny>, Duration)>> {
        match self.stored(py, memory, call, key)? {
            Some(Stored::Object(value, cost)) => Ok(Some((self.given(py, value)?, cost))),
            Some(Stored::Hit(key, hit)) => {
                let answer = self.answer(py, request, (key, &hit))?;
                Ok(answer.map(|answer| (answer, hit.entry.cost())))
            }
            None => Ok(None),
        }
    }

    /// What is stored for a call that is written down in `call`, and whose key `key` makes.
    #[inline]
    fn stored<'py>(
        &self,
        py: Python<'py>,
        memory: &Memory<PyValue>,
        call: &KeyWriter,
        key: impl FnOnce() -> PyResult<CoreKey>,
    ) -> PyResult<Option<Stored<'py>>> {
        let at = self.entries.clock().now();
        let key = match self
            .recent
            .find(py, memory, call.as_bytes(), (at, self.http))
        {
            Near::Object(value, cost) => return Ok(Some(Stored::Object(value, cost))),
            Near::Entry(key, entry) => {
                let served = Served::Fresh;
                return Ok(Some(Stored::Hit(key, Hit { entry, served, at })));
            }
            Near::Key(key) => key,
            Near::Unknown => key()?,
        };
        let Some(hit) = self.fresh(py, &key) else {
            return Ok(None);
        };
        self.recent
            .note(py, memory, call.as_bytes(), (key.clone(), &hit.entry));
        Ok(Some(Stored::Hit(key, hit)))
    }

    /// What is sent to a request for `route` that Flask has not seen, as it would be after all that a hit
    /// passes through there; `None` where Flask has to say.
    pub(crate) fn early<'py>(
        &self,
        py: Python<'py>,
        app: &Py<PyAny>,
        environ: &Bound<'py, PyDict>,
        route: &Route,
    ) -> PyResult<Option<Sent<'py>>> {
        let stats = self.stats.get();
        let started = stats.start();
        let Rule::View(view) = &self.rule else {
            return Ok(None);
        };
        let view = view.get();
        if view.needs_request() || !self.app.is(app) {
            return Ok(None);
        }
        let respond = self.respond.bind(py);
        let http = respond.cast_exact::<HttpResponder>().ok();
        let far = self.reads || self.far.is_some();
        if far && http.is_some() && may_want_less(environ)? {
            return Ok(None);
        }
        let key = || view.key_of_path(environ, &route.path);
        let mut call = self.recent.writer(py);
        let stored = match self.entries.store().as_memory() {
            Some(memory) if view.sketch(environ, &route.path, &mut call)? => {
                self.stored(py, memory, &call, key)?
            }
            _ => {
                let key = key()?;
                let hit = self.found(py, Some(environ), &key)?;
                hit.map(|hit| Stored::Hit(key, hit))
            }
        };
        self.recent.hand_back(py, call);
        let (value, cost, hit) = match stored {
            None => return Ok(None),
            Some(Stored::Object(value, cost)) => (value, cost, None),
            Some(Stored::Hit(key, hit)) => {
                (hit.value().give(py)?, hit.entry.cost(), Some((key, hit)))
            }
        };
        let sent = match (http, hit, respond.cast_exact::<Responder>()) {
            (Some(http), Some((key, hit)), _) => http.get().sent(environ, &value, (key, &hit))?,
            (None, _, Ok(responder)) => {
                let text = route.guard.get().text();
                responder.get().sent(environ, &value, text)?
            }
            _ => None,
        };
        if sent.is_some() {
            stats.hit(py, cost, started);
        }
        Ok(sent)
    }
}
