//! What a request gets of a stored page.

use std::time::Duration;

use http::header::{CONTENT_LENGTH, HeaderName};
use larder_http::age::{age, on_arrival};
use larder_http::conditional::{Condition, condition, is_told};
use larder_http::range::{Part, part, unsatisfied};
use larder_http::{CacheStatus, Fields};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use super::coding::{self, Chosen};
use super::cut;
use super::fields::{PageFields, Wanted};
use crate::value::Page;
use crate::view::wire;

/// What is sent of a page.
pub(super) enum Sent {
    Whole,
    Nothing,
    Part(larder_http::range::Slice),
    Unsatisfied(u64),
}

/// The page that a request gets, with what this cache says of it. `resident` is how long it has lain
/// here; `None` for one that was made for this very request.
pub(super) fn page(
    page: &Bound<'_, Page>,
    environ: &Bound<'_, PyDict>,
    status: CacheStatus,
    resident: Option<Duration>,
) -> PyResult<Page> {
    let form = form_of(page, environ)?;
    let page = form.as_ref().unwrap_or(page);
    let sent = judge(page, environ)?;
    made(
        page,
        &sent,
        status,
        resident,
        !is_dated_by_the_server(environ)?,
    )
}

/// The page as it is sent; `dated` says whether it has to say when it was made.
pub(super) fn made(
    page: &Bound<'_, Page>,
    sent: &Sent,
    mut status: CacheStatus,
    resident: Option<Duration>,
    dated: bool,
) -> PyResult<Page> {
    let (py, found) = (page.py(), page.get());
    let (code, body) = match sent {
        Sent::Whole => (found.status(), found.body(py)),
        Sent::Nothing => (304, PyBytes::new(py, b"")),
        Sent::Part(slice) => (206, cut(&found.body(py), *slice)),
        Sent::Unsatisfied(_) => (416, PyBytes::new(py, b"")),
    };
    if code != found.status() {
        status = status.origin_said(found.status());
    }
    let headers = headers(page, sent, dated)?;
    if let Some(resident) = resident {
        let arrived = if found.is_aged() {
            on_arrival(&PageFields(found.list(py)))
        } else {
            0
        };
        let age = age(arrived, resident).to_string();
        headers.append(line(py, intern!(py, "Age"), &age)?)?;
    }
    let text = status.to_bytes();
    let text = std::str::from_utf8(&text).unwrap_or_default();
    headers.append(line(py, intern!(py, "Cache-Status"), text)?)?;
    Ok(Page::served(code, headers, body, found.is_located()))
}

/// The page in the coding that a request gets, where that is at hand; `None` for the page as it is.
fn form_of<'py>(
    page: &Bound<'py, Page>,
    environ: &Bound<'py, PyDict>,
) -> PyResult<Option<Bound<'py, Page>>> {
    Ok(match coding::chosen(page, environ)? {
        Chosen::Form(form) => Some(form),
        Chosen::Plain | Chosen::Lacking(_) => None,
    })
}

/// What a request gets of the page.
fn judge(page: &Bound<'_, Page>, environ: &Bound<'_, PyDict>) -> PyResult<Sent> {
    judge_of(page, environ, is_read(environ)?)
}

/// As `judge`; `read` says whether the method is GET or HEAD.
pub(super) fn judge_of(
    page: &Bound<'_, Page>,
    environ: &Bound<'_, PyDict>,
    read: bool,
) -> PyResult<Sent> {
    let (py, found) = (page.py(), page.get());
    let stored = || found.judged(|| PageFields(found.list(py)).of_validators());
    let had = wire(environ, intern!(py, "HTTP_IF_NONE_MATCH"))?;
    if let Some(had) = &had
        && read
        // A tag that can be read matches itself, and counts before every date.
        && let Some(tag) = &stored().tag
        && *had.bytes()? == **tag
        && matches!(found.status(), 200..=299)
    {
        return Ok(Sent::Nothing);
    }
    let wanted = Wanted::of(environ, had)?;
    if wanted.is_nothing() {
        return Ok(Sent::Whole);
    }
    let method = wire(environ, intern!(py, "REQUEST_METHOD"))?;
    let method = method.as_ref().map_or(Ok("GET"), |method| method.text())?;
    let (wanted, stored) = (wanted.fields(), stored().fields.as_slice());
    if condition(method, wanted, found.status(), stored) == Condition::NotModified {
        return Ok(Sent::Nothing);
    }
    let whole = found.body(py).as_bytes().len() as u64;
    Ok(match part(method, wanted, found.status(), stored, whole) {
        Part::Whole => Sent::Whole,
        Part::Slice(slice) => Sent::Part(slice),
        Part::None => Sent::Unsatisfied(whole),
    })
}

fn is_read(environ: &Bound<'_, PyDict>) -> PyResult<bool> {
    let method = wire(environ, intern!(environ.py(), "REQUEST_METHOD"))?;
    Ok(method.is_some_and(|method| matches!(method.text(), Ok("GET" | "HEAD"))))
}

/// Whether a request gets no body, or may have it already.
pub(crate) fn may_want_less(environ: &Bound<'_, PyDict>) -> PyResult<bool> {
    let py = environ.py();
    Ok(environ.contains(intern!(py, "HTTP_IF_NONE_MATCH"))?
        || environ.contains(intern!(py, "HTTP_IF_MODIFIED_SINCE"))?
        || is_head(environ)?)
}

pub(super) fn is_head(environ: &Bound<'_, PyDict>) -> PyResult<bool> {
    let method = wire(environ, intern!(environ.py(), "REQUEST_METHOD"))?;
    Ok(method.is_some_and(|method| matches!(method.text(), Ok("HEAD"))))
}

/// Whether a request is answered by this page, which may be without its body: it wants no body, or has
/// it already, or the body is there.
pub(super) fn suffices(page: &Bound<'_, Page>, environ: &Bound<'_, PyDict>) -> PyResult<bool> {
    let py = page.py();
    if is_head(environ)? {
        return Ok(true);
    }
    let form = match coding::chosen(page, environ)? {
        Chosen::Form(form) => Some(form),
        Chosen::Plain => None,
        Chosen::Lacking(_) => return Ok(false),
    };
    let page = form.as_ref().unwrap_or(page);
    let found = page.get();
    let mut length = 0;
    PageFields(found.list(py)).each(&CONTENT_LENGTH, &mut |value| {
        let text = std::str::from_utf8(value).unwrap_or_default();
        length = text.parse().unwrap_or(0);
    });
    let whole = length == found.body(py).as_bytes().len();
    Ok(whole || matches!(judge(page, environ)?, Sent::Nothing))
}

/// The headers of the page that go with what is sent; a list of the caller's own.
fn headers<'py>(page: &Bound<'py, Page>, sent: &Sent, dated: bool) -> PyResult<Bound<'py, PyList>> {
    let (py, found) = (page.py(), page.get());
    let as_stored = dated && !found.is_aged();
    if as_stored && matches!(sent, Sent::Whole) {
        return Ok(found.headers(py));
    }
    let headers = PyList::empty(py);
    for pair in found.list(py).iter() {
        let name = pair.cast::<PyTuple>()?.get_borrowed_item(0)?;
        let name = HeaderName::from_bytes(name.cast::<PyString>()?.to_str()?.as_bytes()).ok();
        if name.is_none_or(|name| goes_with(&name, sent, dated)) {
            headers.append(pair)?;
        }
    }
    match sent {
        Sent::Part(slice) => {
            let length = slice.len().to_string();
            headers.append(line(py, intern!(py, "Content-Length"), &length)?)?;
            let range = slice.content_range();
            headers.append(line(py, intern!(py, "Content-Range"), &range)?)?;
        }
        Sent::Unsatisfied(whole) => {
            headers.append(line(py, intern!(py, "Content-Length"), "0")?)?;
            headers.append(line(
                py,
                intern!(py, "Content-Range"),
                &unsatisfied(*whole),
            )?)?;
        }
        Sent::Whole | Sent::Nothing => {}
    }
    Ok(headers)
}

fn goes_with(name: &HeaderName, sent: &Sent, dated: bool) -> bool {
    match name.as_str() {
        "age" => false,
        "date" => dated,
        "larder-codings" => false,
        "content-length" => matches!(sent, Sent::Whole),
        // They describe a body that is not sent.
        "content-type" | "content-encoding" | "content-disposition" => {
            !matches!(sent, Sent::Unsatisfied(_) | Sent::Nothing)
        }
        _ => !matches!(sent, Sent::Nothing) || is_told(name),
    }
}

fn line<'py>(
    py: Python<'py>,
    name: &Bound<'py, PyString>,
    value: &str,
) -> PyResult<Bound<'py, PyTuple>> {
    PyTuple::new(py, [name, &PyString::new(py, value)])
}

/// Whether the server writes a `Date` of its own without looking whether there is one: gunicorn does.
pub(super) fn is_dated_by_the_server(environ: &Bound<'_, PyDict>) -> PyResult<bool> {
    let software = wire(environ, intern!(environ.py(), "SERVER_SOFTWARE"))?;
    let Some(software) = software else {
        return Ok(false);
    };
    Ok(software.text()?.starts_with("gunicorn"))
}
