//! The query of a request, as Flask-Caching's keys hold it: sorted pairs, as Python writes them.

use std::borrow::Cow;

use percent_encoding::percent_decode;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyType};

use crate::forking::once;

/// A pair of the query. What was parsed here is text of its own.
type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Appends the text that Python has for the tuple of a request's sorted query pairs. False where that
/// takes a closer look: an application may keep its query in a class of its own.
///
/// # Errors
///
/// What reading `request.args` raises.
pub(crate) fn write_pairs(request: &Bound<'_, PyAny>, text: &mut String) -> PyResult<bool> {
    let py = request.py();
    let known = request.getattr(intern!(py, "__dict__"))?;
    let known = known.cast::<PyDict>()?;
    let args = match known.get_item(intern!(py, "args"))? {
        Some(args) => args,
        None => {
            let query = known.get_item(intern!(py, "query_string"))?;
            if let Some(query) = query
                && Werkzeug::get(py)?.parses(request)?
                && let Ok(query) = query.cast_exact::<PyBytes>()
                && let Some(pairs) = parsed(query.as_bytes())
            {
                return write(py, pairs, text).map(|()| true);
            }
            request.getattr(intern!(py, "args"))?
        }
    };
    if !Werkzeug::get(py)?.is_plain(&args) {
        return Ok(false);
    }
    let Some(found) = texts(args.cast::<PyDict>()?) else {
        return Ok(false);
    };
    let pairs: Option<Vec<Pair<'_>>> = found
        .iter()
        .map(|(name, value)| Some((name.to_str().ok()?.into(), value.to_str().ok()?.into())))
        .collect();
    match pairs {
        Some(pairs) => write(py, pairs, text).map(|()| true),
        None => Ok(false),
    }
}

/// The pairs of a dict of lists; `None` where not all of it is text.
fn texts<'py>(
    lists: &Bound<'py, PyDict>,
) -> Option<Vec<(Bound<'py, PyString>, Bound<'py, PyString>)>> {
    let mut found = Vec::with_capacity(lists.len());
    for (name, values) in lists {
        let name = name.cast_into_exact::<PyString>().ok()?;
        for value in values.cast::<PyList>().ok()? {
            found.push((name.clone(), value.cast_into_exact::<PyString>().ok()?));
        }
    }
    Some(found)
}

/// What Werkzeug has that a query is read by.
struct Werkzeug {
    /// The `args` of a request that nobody derived one of their own for.
    args: Py<PyAny>,
    plain: Py<PyType>,
    mutable: Py<PyType>,
}

impl Werkzeug {
    fn get(py: Python<'_>) -> PyResult<&Self> {
        static WERKZEUG: PyOnceLock<Werkzeug> = PyOnceLock::new();
        once(py, &WERKZEUG, || {
            let structures = py.import("werkzeug.datastructures")?;
            let request = py.import("werkzeug.sansio.request")?.getattr("Request")?;
            Ok(Self {
                args: request.getattr("args")?.unbind(),
                plain: structures
                    .getattr("ImmutableMultiDict")?
                    .cast_into()?
                    .unbind(),
                mutable: structures.getattr("MultiDict")?.cast_into()?.unbind(),
            })
        })
    }

    /// Whether the request reads its query as Werkzeug does.
    fn parses(&self, request: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = request.py();
        let own = request.get_type().getattr(intern!(py, "args"))?;
        if !own.is(&self.args) {
            return Ok(false);
        }
        let storage = request.getattr(intern!(py, "parameter_storage_class"))?;
        Ok(storage.is(&self.plain))
    }

    /// Whether these are pairs as Werkzeug keeps them: a list of values for each name.
    fn is_plain(&self, args: &Bound<'_, PyAny>) -> bool {
        let kind = args.get_type();
        kind.is(&self.plain) || kind.is(&self.mutable)
    }
}

/// The pairs of a query that needs no second look: ASCII, and text once it is decoded.
fn parsed(query: &[u8]) -> Option<Vec<Pair<'static>>> {
    let query = std::str::from_utf8(query)
        .ok()
        .filter(|query| query.is_ascii())?;
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Some((decoded(name)?, decoded(value)?))
        })
        .collect()
}

fn decoded(text: &str) -> Option<Cow<'static, str>> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode(spaced.as_bytes()).decode_utf8().ok()?;
    Some(Cow::Owned(decoded.into_owned()))
}

fn write(py: Python<'_>, mut pairs: Vec<Pair<'_>>, text: &mut String) -> PyResult<()> {
    pairs.sort_unstable();
    text.push('(');
    for (place, (name, value)) in pairs.iter().enumerate() {
        text.push_str(if place == 0 { "(" } else { ", (" });
        write_text(py, name, text)?;
        text.push_str(", ");
        write_text(py, value, text)?;
        text.push(')');
    }
    text.push_str(if pairs.len() == 1 { ",)" } else { ")" });
    Ok(())
}

/// Appends a text as Python's `repr` has it.
fn write_text(py: Python<'_>, value: &str, text: &mut String) -> PyResult<()> {
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'\'' | b'\\');
    if value.bytes().all(plain) {
        text.push('\'');
        text.push_str(value);
        text.push('\'');
    } else {
        text.push_str(PyString::new(py, value).repr()?.to_str()?);
    }
    Ok(())
}
