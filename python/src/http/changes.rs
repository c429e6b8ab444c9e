//! What a request that changed something makes invalid.

use larder_http::{coding, invalidation};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::value::latin_bytes;
use crate::view::{bytes_of, host_of, wire};

/// Whether an answer to a request with this method drops what is stored for its URI.
#[pyfunction]
fn invalidates(method: &str, status: u16) -> bool {
    invalidation::invalidates(method, status)
}

/// The paths on the same host that an answer names as changed besides that of its request, as they
/// stand in URLs: with the place where the application is mounted.
#[pyfunction]
fn changed_paths(
    environ: &Bound<'_, PyDict>,
    headers: Vec<(String, Bound<'_, PyString>)>,
) -> PyResult<Vec<String>> {
    let py = environ.py();
    let host = host_of(environ)?;
    let mount = wire(environ, intern!(py, "SCRIPT_NAME"))?;
    let path = wire(environ, intern!(py, "PATH_INFO"))?;
    let path = [bytes_of(mount.as_ref())?, bytes_of(path.as_ref())?].concat();
    let mut fields = Vec::with_capacity(headers.len());
    for (name, value) in &headers {
        // What a header cannot carry is no URI either.
        if let Ok(value) = latin_bytes(value) {
            fields.push((name.as_str(), value));
        }
    }
    let found = invalidation::named(&bytes_of(host.as_ref())?, &path, fields.as_slice());
    Ok(found.into_iter().map(|named| named.path).collect())
}

/// The value of `If-Match` with the tags of plain pages beside those of pages in codings; `None` where it
/// names none of these.
#[pyfunction]
fn with_plain_tags(if_match: &Bound<'_, PyString>) -> Option<String> {
    let both = coding::with_plain_tags(&latin_bytes(if_match).ok()?)?;
    Some(both.into_iter().map(char::from).collect())
}

pub(super) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(invalidates, m)?)?;
    m.add_function(wrap_pyfunction!(changed_paths, m)?)?;
    m.add_function(wrap_pyfunction!(with_plain_tags, m)?)
}
