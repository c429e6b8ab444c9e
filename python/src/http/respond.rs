//! Hits that are answered as HTTP wants it, without Python.

use larder_core::{Hit, Key as CoreKey, Tag};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::coding::{self, Chosen};
use super::shelf::{Moment, Shelf};
use super::{HttpRule, serve, status};
use crate::answer::name_of;
use crate::early::Sent;
use crate::engine::CoreCache;
use crate::key::Key;
use crate::respond::Responder;
use crate::value::{Page, PyValue};

/// Makes responses of stored pages for requests that were sent to one view.
///
/// A cached view may also be called by other code, which wants all of its answer: a 304 is for the
/// client. So the routes that lead to the view are known here, and other requests are left to Python.
#[pyclass(frozen, module = "flask_larder._native")]
pub struct HttpResponder {
    rule: Py<HttpRule>,
    respond: Py<Responder>,
    routes: Vec<Py<PyAny>>,
    shelf: Shelf,
}

#[pymethods]
impl HttpResponder {
    #[new]
    fn new(rule: Py<HttpRule>, respond: Py<Responder>, routes: Vec<Py<PyAny>>) -> Self {
        Self {
            rule,
            respond,
            routes,
            shelf: Shelf::new(),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.respond)?;
        self.routes.iter().try_for_each(|route| visit.call(route))
    }
}

impl HttpResponder {
    /// Where the page that a request gets lies by itself, in a coding.
    pub(crate) fn coded_at(
        &self,
        cache: &CoreCache,
        key: &CoreKey,
        environ: &Bound<'_, PyDict>,
        tags: &[Tag],
    ) -> PyResult<Option<CoreKey>> {
        coding::expected_at(cache, key, (environ, tags), self.rule.get().codings())
    }

    /// The response to `request`; `None` where Python has to say what is to be done.
    pub(crate) fn respond<'py>(
        &self,
        request: &Bound<'py, PyAny>,
        environ: &Bound<'py, PyDict>,
        page: &Bound<'py, Page>,
        (key, hit): (CoreKey, &Hit<PyValue>),
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = request.py();
        let route = request.getattr(intern!(py, "url_rule"))?;
        if !self.routes.iter().any(|known| known.is(&route)) {
            return Ok(None);
        }
        match self.made(environ, page, (key, hit))? {
            Some(made) => self.respond.get().respond(&made).map(Some),
            None => Ok(None),
        }
    }

    /// What a request is sent whose route is known to lead to the view, without a response; `None` where
    /// that takes one.
    pub(crate) fn sent<'py>(
        &self,
        environ: &Bound<'py, PyDict>,
        value: &Bound<'py, PyAny>,
        hit: (CoreKey, &Hit<PyValue>),
    ) -> PyResult<Option<Sent<'py>>> {
        let Ok(page) = value.cast_exact::<Page>() else {
            return Ok(None);
        };
        match self.made(environ, page, hit)? {
            Some(made) => self.respond.get().page(environ, &made),
            None => Ok(None),
        }
    }

    /// What a request gets of a page; `None` where Python has to say what is to be done.
    fn made<'py>(
        &self,
        environ: &Bound<'py, PyDict>,
        page: &Bound<'py, Page>,
        (key, hit): (CoreKey, &Hit<PyValue>),
    ) -> PyResult<Option<Bound<'py, Page>>> {
        let py = page.py();
        let rule = self.rule.get();
        if rule.listens() && asks(environ)? {
            return Ok(None);
        }
        let form = match coding::chosen(page, environ)? {
            Chosen::Plain => None,
            Chosen::Form(form) => Some(form),
            // Python asks the store for it.
            Chosen::Lacking(_) => return Ok(None),
        };
        let page = form.as_ref().unwrap_or(page);
        // Other methods than GET and HEAD never come here.
        let sent = serve::judge_of(page, environ, true)?;
        let moment = Moment {
            age: hit.age().as_secs(),
            ttl: hit.seconds_left(),
            dated: !serve::is_dated_by_the_server(environ)?,
        };
        if let Some(made) = self.shelf.find(page, moment, &sent) {
            return Ok(Some(made));
        }
        let status = status::of_hit(name_of(hit.served), moment.ttl);
        let status = rule.with_key(status, &Key(key));
        let made = serve::made(page, &sent, status, Some(hit.age()), moment.dated)?;
        let made = Bound::new(py, made)?;
        self.shelf.keep(page, moment, &sent, &made);
        Ok(Some(made))
    }
}

fn asks(environ: &Bound<'_, PyDict>) -> PyResult<bool> {
    let py = environ.py();
    Ok(environ.contains(intern!(py, "HTTP_CACHE_CONTROL"))?
        || environ.contains(intern!(py, "HTTP_PRAGMA"))?)
}
