//! A finished HTTP response as a value.

use std::sync::OnceLock;

use http::StatusCode;
use larder_http::{Coding, Codings, coding};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple, PyType};

/// A finished HTTP response: a status from 100 to 999, headers in their order, and the body. It cannot
/// be changed.
///
/// Header names and values are text of the characters that HTTP can carry (ISO 8859-1).
#[pyclass(frozen, module = "flask_larder._native")]
pub struct Page {
    status: u16,
    headers: Py<PyList>,
    body: Py<PyBytes>,
    /// Found out once, because every hit asks.
    facts: Facts,
    /// The headers that conditions are judged by, once a request has set one.
    judged: OnceLock<Judged>,
    /// The page in codings, where it was asked for and is in this process; `None` where it is not worth it.
    coded: Box<[(Coding, Option<Py<Page>>)]>,
}

/// What the conditions of requests are judged by.
pub(crate) struct Judged {
    /// Names in lower case, and values as they were sent.
    pub(crate) fields: Vec<(&'static str, Vec<u8>)>,
    /// The one entity tag, if it can be read.
    pub(crate) tag: Option<Vec<u8>>,
}

/// What is known of the headers of a page.
#[derive(Clone, Copy)]
struct Facts {
    /// See [`Page::plain`].
    plain: bool,
    /// Whether `Age` is among them.
    aged: bool,
    /// Whether a URL is among them that a server completes.
    located: bool,
    /// The codings that the page is stored in besides.
    codings: Codings,
}

#[pymethods]
impl Page {
    #[new]
    fn new(status: u16, headers: &Bound<'_, PyAny>, body: &Bound<'_, PyBytes>) -> PyResult<Self> {
        if !(100..=999).contains(&status) {
            let message = format!("wrong page: status {status} (use 100 to 999)");
            return Err(PyValueError::new_err(message));
        }
        let own = PyList::empty(body.py());
        for pair in headers.try_iter()? {
            own.append(header(&pair?)?)?;
        }
        Ok(Self::assemble(status, own, body.clone()))
    }

    /// The status code.
    #[getter]
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// The headers, pairs of name and value, as a list of the caller's own.
    #[getter]
    pub(crate) fn headers<'py>(&self, py: Python<'py>) -> Bound<'py, PyList> {
        let headers = self.headers.bind(py);
        let own = headers.get_slice(0, headers.len());
        if !self.facts.codings.is_empty() {
            own.iter()
                .position(|pair| is_inner(&pair))
                .map(|at| own.del_item(at));
        }
        own
    }

    /// Whether it can be sent as it is: status 200, its length among the headers, and no URL that is
    /// to be completed; or what a request gets of a page, with all that HTTP wants.
    #[getter]
    pub(crate) fn plain(&self) -> bool {
        self.facts.plain
    }

    /// The status as a server sends it: "200 OK".
    #[getter]
    pub(crate) fn line<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        match self.status {
            200 => return intern!(py, "200 OK").clone(),
            304 => return intern!(py, "304 NOT MODIFIED").clone(),
            _ => {}
        }
        let reason = StatusCode::from_u16(self.status)
            .ok()
            .and_then(|status| status.canonical_reason());
        let reason = reason.unwrap_or("Unknown").to_ascii_uppercase();
        PyString::new(py, &format!("{} {reason}", self.status))
    }

    /// The body.
    #[getter]
    pub(crate) fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        self.body.bind(py).clone()
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(other) = other.cast::<Self>() else {
            return Ok(false);
        };
        let (py, other) = (other.py(), other.get());
        Ok(self.status == other.status
            && self.headers.bind(py).eq(&other.headers)?
            && self.body.as_bytes(py) == other.body.as_bytes(py))
    }

    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> (
        Bound<'py, PyType>,
        (u16, Bound<'py, PyList>, Bound<'py, PyBytes>),
    ) {
        let (py, page) = (slf.py(), slf.get());
        (
            slf.get_type(),
            (page.status, page.headers(py), page.body(py)),
        )
    }

    fn __sizeof__(&self, py: Python<'_>) -> usize {
        let headers = self.headers.bind(py);
        let text = |text: &Bound<'_, PyAny>| text.len().unwrap_or(0) + size_of::<[usize; 7]>();
        let pair = |pair: Bound<'_, PyAny>| {
            let pair = pair.cast_into::<PyTuple>();
            let texts: usize =
                pair.map_or(0, |pair| pair.iter_borrowed().map(|one| text(&one)).sum());
            texts + size_of::<[usize; 8]>()
        };
        let headers: usize = headers.iter().map(pair).sum();
        size_of::<Self>()
            + size_of::<[usize; 2]>()
            + headers
            + self
                .coded
                .iter()
                .filter_map(|(_, page)| page.as_ref())
                .map(|page| page.get().__sizeof__(py))
                .sum::<usize>()
            + super::weight::BYTES_HEAD
            + self.body.as_bytes(py).len()
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let (headers, body) = (self.headers.bind(py).len(), self.body.as_bytes(py).len());
        format!("<Page {}, {headers} headers, {body} bytes>", self.status)
    }
}

/// Whether a pair is one that is never sent.
fn is_inner(pair: &Bound<'_, PyAny>) -> bool {
    let pair = pair.extract::<(Bound<'_, PyString>, Bound<'_, PyAny>)>();
    pair.is_ok_and(|(name, _)| {
        name.to_str()
            .is_ok_and(|name| name.eq_ignore_ascii_case(coding::FIELD.as_str()))
    })
}

/// A pair of exact texts in the characters that a header can carry.
fn header<'py>(pair: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTuple>> {
    let (name, value): (Bound<'py, PyString>, Bound<'py, PyString>) = pair.extract()?;
    let exact = |text: Bound<'py, PyString>| -> PyResult<Bound<'py, PyString>> {
        if let Ok(ascii) = text.to_str()
            && ascii.is_ascii()
            && text.is_exact_instance_of::<PyString>()
        {
            return Ok(text);
        }
        latin(text.py(), &latin_bytes(&text)?)
    };
    PyTuple::new(pair.py(), [exact(name)?, exact(value)?])
}

impl Facts {
    fn of(status: u16, headers: &Bound<'_, PyList>) -> Self {
        let (mut readable, mut length) = (true, false);
        let mut facts = Self {
            plain: false,
            aged: false,
            located: false,
            codings: Codings::default(),
        };
        for pair in headers.iter() {
            let pair = pair.extract::<(Bound<'_, PyString>, Bound<'_, PyAny>)>();
            let name = pair.as_ref().ok().and_then(|(name, _)| name.to_str().ok());
            let Some(name) = name else {
                readable = false;
                continue;
            };
            let is = |other: &str| name.eq_ignore_ascii_case(other);
            facts.located |= is("location") || is("content-location");
            facts.aged |= is("age");
            length |= is("content-length");
            if is(coding::FIELD.as_str())
                && let Ok((_, value)) = &pair
                && let Ok(value) = value.cast::<PyString>()
            {
                let value = value.to_string_lossy();
                facts.codings = Codings::read([(name, value.as_bytes())].as_slice());
            }
        }
        facts.plain = status == 200 && readable && length && !facts.located;
        facts
    }
}

/// A text as the bytes that HTTP carries.
pub(crate) fn latin_bytes(text: &Bound<'_, PyString>) -> PyResult<Vec<u8>> {
    let bytes: Option<Vec<u8>> = match text.to_str() {
        Ok(text) => text.chars().map(|c| u8::try_from(c).ok()).collect(),
        Err(_) => None,
    };
    bytes.ok_or_else(|| {
        let shown = text.to_string_lossy().into_owned();
        let message = format!("wrong page: header text {shown:?} (HTTP carries ISO 8859-1 only)");
        PyValueError::new_err(message)
    })
}

/// The text of bytes that HTTP carried.
pub(crate) fn latin<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    if let Ok(text) = std::str::from_utf8(bytes)
        && text.is_ascii()
    {
        return Ok(PyString::new(py, text));
    }
    let text: String = bytes.iter().copied().map(char::from).collect();
    Ok(PyString::new(py, &text))
}

impl Page {
    /// A page whose parts are exact and valid already.
    pub(crate) fn assemble(
        status: u16,
        headers: Bound<'_, PyList>,
        body: Bound<'_, PyBytes>,
    ) -> Self {
        let facts = Facts::of(status, &headers);
        let (headers, body) = (headers.unbind(), body.unbind());
        Self {
            status,
            headers,
            body,
            facts,
            judged: OnceLock::new(),
            coded: Box::default(),
        }
    }

    /// The page with these in codings; `None` in the place of one that is not worth it.
    pub(crate) fn in_codings(mut self, coded: Vec<(Coding, Option<Py<Self>>)>) -> Self {
        self.coded = coded.into();
        self
    }

    /// The codings that the page is stored in besides.
    pub(crate) fn codings(&self) -> &Codings {
        &self.facts.codings
    }

    /// The page in codings, as far as it is in this process.
    pub(crate) fn coded(&self) -> &[(Coding, Option<Py<Self>>)] {
        &self.coded
    }

    /// The page in a coding, where it is in this process.
    pub(crate) fn in_coding(&self, coding: Coding) -> Option<&Py<Self>> {
        let mut coded = self.coded.iter();
        coded.find(|(own, _)| *own == coding)?.1.as_ref()
    }

    /// What a request gets of a page: its headers are complete, so that it is sent as it is unless it
    /// has a URL to be completed.
    pub(crate) fn served(
        status: u16,
        headers: Bound<'_, PyList>,
        body: Bound<'_, PyBytes>,
        located: bool,
    ) -> Self {
        let facts = Facts {
            plain: !located,
            aged: true,
            located,
            codings: Codings::default(),
        };
        let (headers, body) = (headers.unbind(), body.unbind());
        Self {
            status,
            headers,
            body,
            facts,
            judged: OnceLock::new(),
            coded: Box::default(),
        }
    }

    /// The headers that conditions and ranges are judged by.
    pub(crate) fn judged(&self, find: impl FnOnce() -> Judged) -> &Judged {
        self.judged.get_or_init(find)
    }

    /// The headers themselves, which nobody may change.
    pub(crate) fn list<'py>(&self, py: Python<'py>) -> &Bound<'py, PyList> {
        self.headers.bind(py)
    }

    /// Whether it came with an `Age`.
    pub(crate) fn is_aged(&self) -> bool {
        self.facts.aged
    }

    /// Whether it has a URL that a server completes.
    pub(crate) fn is_located(&self) -> bool {
        self.facts.located
    }
}
