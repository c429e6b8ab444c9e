//! Pages as HTTP wants them: what is stored of an answer, and what of it a request gets.
//!
//! Every rule is one of larder-http; what stands here reads Python's headers for it.

mod asked;
mod changes;
mod coding;
mod fields;
mod forms;
mod respond;
mod searches;
mod serve;
mod shelf;
mod status;

use std::time::Duration;

use http::header::{self, HeaderName};
use larder_core::Lifetime;
use larder_http::coding::may_be_coded;
use larder_http::freshness::synthesise;
use larder_http::storable::{Statuses, is_login, shareable};
use larder_http::validators::etag_of;
use larder_http::{Coding, Fields, Requests, Told, Vary, dates};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

use crate::clock::process_clock;
use crate::key::Key;
use crate::policy::{Policy, span};
use crate::value::Page;

pub(crate) use asked::Asked;
pub(crate) use fields::PageFields;
pub(crate) use respond::HttpResponder;
pub(crate) use searches::Searches;
pub(crate) use serve::may_want_less;

/// The rules of HTTP for the pages of one view.
#[pyclass(frozen, module = "flask_larder._native")]
pub struct HttpRule {
    /// The headers of the request that the key holds.
    keyed: Vec<HeaderName>,
    /// Those that an answer may vary by besides, because what the key computes stands for them.
    known: Vec<HeaderName>,
    /// Whether the key tells users apart, so that no cache further on may give one the other's page.
    own: bool,
    statuses: Statuses,
    targets: Vec<HeaderName>,
    requests: Requests,
    etag: bool,
    key_told: bool,
    /// What pages are stored in besides, the most preferred first.
    codings: Vec<Coding>,
}

#[pymethods]
impl HttpRule {
    /// `negative` are lifetimes in seconds by status, `requests` is "ignore", "trusted" or "full".
    #[new]
    #[pyo3(signature = (*, keyed, known, own, negative, targets, requests, etag, key_told, codings))]
    #[expect(
        clippy::too_many_arguments,
        clippy::fn_params_excessive_bools,
        reason = "keywords"
    )]
    fn new(
        keyed: Vec<String>,
        known: Vec<String>,
        own: bool,
        negative: Vec<(u16, f64)>,
        targets: Vec<String>,
        requests: &str,
        etag: bool,
        key_told: bool,
        codings: Vec<String>,
    ) -> PyResult<Self> {
        let mut statuses = Statuses::default();
        for (status, seconds) in negative {
            statuses = statuses.with(status, span("negative", seconds)?);
        }
        Ok(Self {
            keyed: names("vary", &keyed)?,
            known: names("vary", &known)?,
            own,
            statuses,
            targets: names("targets", &targets)?,
            requests: match requests {
                "trusted" => Requests::Trusted,
                "full" => Requests::Full,
                _ => Requests::Ignore,
            },
            etag,
            key_told,
            codings: coding::codings_of(&codings)?,
        })
    }

    /// What is stored of a page, and the policy that it is stored under; the reason as a str where it
    /// must not be stored.
    fn finish<'py>(&self, page: &Bound<'py, Page>, policy: &Policy) -> PyResult<Bound<'py, PyAny>> {
        let py = page.py();
        match self.judge(page, policy)? {
            Ok((page, policy)) => (page, policy).into_pyobject(py).map(Bound::into_any),
            Err(reason) => Ok(PyString::new(py, &reason).into_any()),
        }
    }

    /// A page with its codings, which one that came from a store elsewhere does not have: what is renewed.
    fn coded<'py>(&self, page: &Bound<'py, Page>) -> PyResult<Bound<'py, Page>> {
        let (py, found) = (page.py(), page.get());
        if self.codings.is_empty() || !found.coded().is_empty() {
            return Ok(page.clone());
        }
        let plain = Page::assemble(found.status(), found.headers(py), found.body(py));
        Bound::new(py, coding::coded(py, plain, &self.codings)?)
    }

    /// What a request gets of a page that is served from the cache: `served` says how, `age` is in
    /// seconds since it was stored, `ttl` in seconds that it stays fresh.
    #[expect(clippy::too_many_arguments, reason = "one call for each answer")]
    fn hit(
        &self,
        page: &Bound<'_, Page>,
        environ: &Bound<'_, PyDict>,
        served: &str,
        age: f64,
        ttl: Option<i64>,
        key: &Key,
    ) -> PyResult<Page> {
        let age = Duration::try_from_secs_f64(age).unwrap_or_default();
        let status = self.with_key(status::of_hit(served, ttl), key);
        serve::page(page, environ, status, Some(age))
    }

    /// What a request gets of a page that was loaded for it and stored; `forward` says why it was.
    fn loaded(
        &self,
        page: &Bound<'_, Page>,
        environ: &Bound<'_, PyDict>,
        forward: &str,
        key: &Key,
    ) -> PyResult<Page> {
        let status = self.with_key(status::of_load(forward).stored(), key);
        serve::page(page, environ, status, None)
    }

    /// Whether a page is stored in codings besides.
    #[getter]
    fn compresses(&self) -> bool {
        !self.codings.is_empty()
    }

    /// What a request asks of caches, as far as it is listened to; `None` where that is nothing.
    #[pyo3(name = "asked")]
    fn py_asked(&self, environ: &Bound<'_, PyDict>, trusted: bool) -> PyResult<Option<Asked>> {
        Asked::of(environ, self.requests, trusted)
    }
}

impl HttpRule {
    /// Whether a request is answered by this page, which may be without its body.
    pub(crate) fn suffices(
        &self,
        page: &Bound<'_, Page>,
        environ: &Bound<'_, PyDict>,
    ) -> PyResult<bool> {
        serve::suffices(page, environ)
    }

    /// Whether a request may have a say in how it is answered.
    pub(crate) fn listens(&self) -> bool {
        self.requests != Requests::Ignore
    }

    /// What pages are stored in besides.
    pub(crate) fn codings(&self) -> &[Coding] {
        &self.codings
    }

    fn holds(&self, name: &HeaderName) -> bool {
        self.keyed.contains(name) || self.known.contains(name)
    }

    /// Whether it is this cache that makes an answer depend on `Accept-Encoding`.
    fn codes(&self, answer: &PageFields<'_, '_>) -> bool {
        !self.codings.is_empty() && !answer.has(&header::CONTENT_ENCODING)
    }

    fn with_key(&self, status: larder_http::CacheStatus, key: &Key) -> larder_http::CacheStatus {
        if self.key_told {
            status.key(String::from_utf8_lossy(key.0.base()))
        } else {
            status
        }
    }

    fn judge(
        &self,
        page: &Bound<'_, Page>,
        policy: &Policy,
    ) -> PyResult<Result<(Page, Policy), String>> {
        let found = page.get();
        let (status, fields) = (found.status(), PageFields(found.list(page.py())));
        let own = match self.statuses.kept(status) {
            Ok(own) => own,
            Err(reason) => return Ok(Err(reason.to_string())),
        };
        if is_login(status, &fields) {
            return Ok(Err("login".to_owned()));
        }
        let now = process_clock().now();
        let told = Told::read(&fields, &self.targets, now);
        if let Err(reason) = shareable(&fields, &told, &|name| {
            self.holds(name) || (*name == header::ACCEPT_ENCODING && self.codes(&fields))
        }) {
            return Ok(Err(reason.to_string()));
        }
        let mut policy = policy.0.clone();
        if let Some(own) = own {
            policy.ttl = Lifetime::For(own);
        }
        let policy = told.policy(&policy);
        let control = if told.targeted || fields.has(&header::EXPIRES) {
            None
        } else {
            synthesise(&policy)
        };
        let page = self.complete(page, &fields, control)?;
        Ok(Ok((page, Policy(policy))))
    }

    /// The page with the headers that it lacks.
    fn complete(
        &self,
        page: &Bound<'_, Page>,
        fields: &PageFields<'_, '_>,
        control: Option<String>,
    ) -> PyResult<Page> {
        let (py, found) = (page.py(), page.get());
        let headers = found.headers(py);
        let body = found.body(py);
        let length = body.as_bytes().len() as u64;
        let varies = self.codes(fields) && may_be_coded(found.status(), fields, Some(length));
        let add = |name: &str, value: &str| headers.append((name, value));
        if self.etag && found.status() == 200 && !fields.has(&header::ETAG) {
            add("ETag", &etag_of(body.as_bytes()))?;
        }
        if let Some(control) = control.filter(|_| !fields.has(&header::CACHE_CONTROL)) {
            let whose = if self.own { "private, " } else { "" };
            add("Cache-Control", &format!("{whose}{control}"))?;
        }
        if !fields.has(&header::DATE) {
            add("Date", &dates::write(process_clock().now()))?;
        }
        if !matches!(found.status(), 204 | 304) && !fields.has(&header::CONTENT_LENGTH) {
            add("Content-Length", &body.as_bytes().len().to_string())?;
        }
        let by_coding = varies.then_some(header::ACCEPT_ENCODING);
        let vary = Vary::read(fields).and(self.keyed.iter().cloned().chain(by_coding));
        if let Some(vary) = vary.value() {
            set(&headers, "vary", ("Vary", vary.to_str().unwrap_or("*")))?;
        }
        let page = Page::assemble(found.status(), headers, body);
        if self.codings.is_empty() {
            return Ok(page);
        }
        coding::coded(py, page, &self.codings)
    }
}

/// Puts one line in the place of all lines of a name.
fn set(headers: &Bound<'_, PyList>, lower: &str, line: (&str, &str)) -> PyResult<()> {
    for at in (0..headers.len()).rev() {
        let (name, _): (Bound<'_, PyString>, Bound<'_, PyAny>) = headers.get_item(at)?.extract()?;
        if name.to_str()?.eq_ignore_ascii_case(lower) {
            headers.del_item(at)?;
        }
    }
    headers.append(line)
}

fn names(option: &str, texts: &[String]) -> PyResult<Vec<HeaderName>> {
    let name = |text: &String| {
        HeaderName::from_bytes(text.as_bytes()).map_err(|_| {
            PyValueError::new_err(format!("{option} has {text:?} (use the name of a header)"))
        })
    };
    texts.iter().map(name).collect()
}

/// The whole body, or a part of it.
fn cut<'py>(body: &Bound<'py, PyBytes>, slice: larder_http::range::Slice) -> Bound<'py, PyBytes> {
    let at = |byte: u64| usize::try_from(byte).unwrap_or(usize::MAX);
    let bytes = body.as_bytes().get(at(slice.first)..=at(slice.last));
    PyBytes::new(body.py(), bytes.unwrap_or_default())
}

pub(crate) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<HttpRule>()?;
    m.add_class::<HttpResponder>()?;
    m.add_class::<Asked>()?;
    changes::register(m)?;
    coding::register(m)?;
    forms::register(m)?;
    status::register(m)
}
