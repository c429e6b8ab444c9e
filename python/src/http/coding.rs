//! Pages in content codings: made when a page is stored, chosen when it is served.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};

use larder_core::Key as CoreKey;
use larder_core::store::Expected;
use larder_core::{Cache, Store, Tag};
use larder_http::Coding;
use larder_http::coding::{self, choose, tag_in};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

use super::fields::PageFields;
use super::serve::{Sent, is_head, judge_of};
use crate::value::{Page, PyValue};
use crate::view::{Wire, wire};

/// How many bodies this process has compressed.
static COMPRESSED: AtomicU64 = AtomicU64::new(0);

/// How many bodies this process has compressed: one for each page that was stored and each coding.
#[pyfunction]
fn bodies_compressed() -> u64 {
    COMPRESSED.load(Ordering::Relaxed)
}

/// The codings of these names.
pub(super) fn codings_of(names: &[String]) -> PyResult<Vec<Coding>> {
    let coding = |name: &String| {
        Coding::of(name.as_bytes()).ok_or_else(|| {
            PyValueError::new_err(format!(
                "compress has {name:?} (use \"br\", \"zstd\" or \"gzip\")"
            ))
        })
    };
    names.iter().map(coding).collect()
}

/// The page with its codings: the page itself where it is not worth one.
pub(super) fn coded<'py>(py: Python<'py>, page: Page, codings: &[Coding]) -> PyResult<Page> {
    let body = page.body(py);
    let length = Some(body.as_bytes().len() as u64);
    if !coding::may_be_coded(page.status(), &PageFields(page.list(py)), length) {
        let none = codings.iter().map(|&coding| (coding, None));
        return Ok(page.in_codings(none.collect()));
    }
    let bytes = body.as_bytes();
    let packed: Vec<Option<Vec<u8>>> = py.detach(|| {
        let pack = |&coding: &Coding| {
            COMPRESSED.fetch_add(1, Ordering::Relaxed);
            coding::pack(coding, bytes)
        };
        codings.iter().map(pack).collect()
    });
    let mut noted = larder_http::Codings::default();
    let mut pages = Vec::with_capacity(codings.len());
    for (&coding, packed) in codings.iter().zip(packed) {
        let made = packed.map(|packed| {
            noted.add(coding, packed.len() as u64);
            let body = PyBytes::new(py, &packed);
            described(py, &page, coding, body, packed.len() as u64)
        });
        pages.push((coding, made.transpose()?));
    }
    let headers = page.headers(py);
    if let Some(noted) = noted.value() {
        headers.append((coding::FIELD.as_str(), noted))?;
    }
    Ok(Page::assemble(page.status(), headers, body).in_codings(pages))
}

/// The page in a coding.
fn described<'py>(
    py: Python<'py>,
    page: &Page,
    coding: Coding,
    body: Bound<'py, PyBytes>,
    length: u64,
) -> PyResult<Py<Page>> {
    let headers = PyList::empty(py);
    for pair in page.headers(py).iter() {
        let (name, value): (Bound<'_, PyString>, Bound<'_, PyString>) = pair.extract()?;
        match name.to_str()?.to_ascii_lowercase().as_str() {
            "content-length" | "content-encoding" => {}
            "etag" => {
                if let Some(tag) = tag_in(value.to_string_lossy().as_bytes(), coding) {
                    let tag = String::from_utf8_lossy(&tag).into_owned();
                    headers.append((name, tag))?;
                }
            }
            _ => headers.append(pair)?,
        }
    }
    headers.append(("Content-Encoding", coding.token()))?;
    headers.append(("Content-Length", length.to_string()))?;
    Py::new(py, Page::assemble(page.status(), headers, body))
}

/// What a request gets of a page that may be there in codings.
pub(super) enum Chosen<'py> {
    Plain,
    /// The page in a coding; without its body, where none is sent.
    Form(Bound<'py, Page>),
    /// The page in this coding, which is not at hand.
    Lacking(Coding),
}

/// Which form of a page a request gets.
pub(super) fn chosen<'py>(
    page: &Bound<'py, Page>,
    environ: &Bound<'py, PyDict>,
) -> PyResult<Chosen<'py>> {
    let (py, found) = (page.py(), page.get());
    let codings = found.codings();
    if codings.is_empty() {
        return Ok(Chosen::Plain);
    }
    let had = wire(environ, intern!(py, "HTTP_IF_NONE_MATCH"))?;
    let range = wire(environ, intern!(py, "HTTP_RANGE"))?;
    let accepts = wire(environ, intern!(py, "HTTP_ACCEPT_ENCODING"))?;
    let wanted = fields([
        ("accept-encoding", accepts.as_ref()),
        ("if-none-match", had.as_ref()),
        ("range", range.as_ref()),
    ])?;
    let judged = found.judged(|| PageFields(found.list(py)).of_validators());
    let Some(coding) = codings.select(wanted.as_slice(), judged.tag.as_deref()) else {
        return Ok(Chosen::Plain);
    };
    if let Some(form) = found.in_coding(coding) {
        return Ok(Chosen::Form(form.bind(py).clone()));
    }
    let Some(length) = codings.length(coding) else {
        return Ok(Chosen::Plain);
    };
    if had.is_some()
        || is_head(environ)?
        || environ.contains(intern!(py, "HTTP_IF_MODIFIED_SINCE"))?
    {
        let head = described(py, found, coding, PyBytes::new(py, b""), length)?.into_bound(py);
        if is_head(environ)? || matches!(judge_of(&head, environ, true)?, Sent::Nothing) {
            return Ok(Chosen::Form(head));
        }
    }
    Ok(Chosen::Lacking(coding))
}

type Wanted<'a> = Vec<(&'static str, Cow<'a, [u8]>)>;

fn fields<'a, const N: usize>(
    wires: [(&'static str, Option<&'a Wire<'_>>); N],
) -> PyResult<Wanted<'a>> {
    let mut fields = Vec::with_capacity(N);
    for (name, value) in wires {
        if let Some(value) = value {
            fields.push((name, value.bytes()?));
        }
    }
    Ok(fields)
}

/// Where the page that a request gets lies by itself, if that is to be expected: in the coding that it
/// accepts, beside the plain one.
pub(super) fn expected_at(
    cache: &Cache<PyValue>,
    key: &CoreKey,
    (environ, tags): (&Bound<'_, PyDict>, &[Tag]),
    codings: &[Coding],
) -> PyResult<Option<CoreKey>> {
    let py = environ.py();
    if codings.is_empty() || cache.form_of(key, codings[0].form()).is_none() {
        return Ok(None);
    }
    for name in [
        intern!(py, "HTTP_IF_NONE_MATCH"),
        intern!(py, "HTTP_IF_MODIFIED_SINCE"),
        intern!(py, "HTTP_RANGE"),
    ] {
        if environ.contains(name)? {
            return Ok(None);
        }
    }
    let accepts = wire(environ, intern!(py, "HTTP_ACCEPT_ENCODING"))?;
    if is_head(environ)? {
        return Ok(None);
    }
    let wanted = fields([("accept-encoding", accepts.as_ref())])?;
    let form = choose(wanted.as_slice(), codings)
        .and_then(|coding| cache.form_of(key, coding.form()))
        .filter(|form| {
            // A read of a server for nothing is a trip.
            Store::<PyValue>::expects(cache.store(), form, tags) != Expected::Miss
        });
    Ok(form)
}

/// Whether something that lies where a page in a coding should be is that page.
pub(super) fn is_form_of(form: &Bound<'_, Page>, page: &Bound<'_, Page>, coding: Coding) -> bool {
    let (py, form, page) = (form.py(), form.get(), page.get());
    let length = page.codings().length(coding);
    let (form, page) = (PageFields(form.list(py)), PageFields(page.list(py)));
    length.is_some_and(|length| coding::is_form_of(&form, &page, (coding, length)))
}

pub(super) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(bodies_compressed, m)?)
}
