//! Headers of Python, as larder-http looks at them.

use http::header::HeaderName;
use larder_http::Fields;
use larder_http::validators::Validators;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use crate::value::{Judged, latin_bytes};
use crate::view::{Wire, wire};

/// The headers of a stored page, read where they lie.
pub(crate) struct PageFields<'a, 'py>(pub(crate) &'a Bound<'py, PyList>);

impl PageFields<'_, '_> {
    /// Those that conditions and ranges are judged by.
    pub(super) fn of_validators(&self) -> Judged {
        let mut fields = Vec::new();
        for text in ["etag", "last-modified", "date", "accept-ranges"] {
            let name = HeaderName::from_static(text);
            self.each(&name, &mut |value| fields.push((text, value.to_vec())));
        }
        let readable = Validators::of(fields.as_slice()).etag().is_some();
        let tag = fields.first().filter(|_| readable);
        let tag = tag.map(|(_, tag)| tag.trim_ascii().to_vec());
        Judged { fields, tag }
    }
}

impl Fields for PageFields<'_, '_> {
    fn each(&self, name: &HeaderName, visit: &mut dyn FnMut(&[u8])) {
        for pair in self.0.iter() {
            // A page has pairs of texts that HTTP can carry, and no others.
            let _ = visit_pair(&pair, name, visit);
        }
    }
}

fn visit_pair(
    pair: &Bound<'_, PyAny>,
    name: &HeaderName,
    visit: &mut dyn FnMut(&[u8]),
) -> PyResult<()> {
    let pair = pair.cast::<PyTuple>()?;
    let own = pair.get_borrowed_item(0)?;
    if !own
        .cast::<PyString>()?
        .to_str()?
        .eq_ignore_ascii_case(name.as_str())
    {
        return Ok(());
    }
    let value = pair.get_borrowed_item(1)?;
    let value = value.cast::<PyString>()?;
    match value.to_str() {
        Ok(text) if text.is_ascii() => visit(text.as_bytes()),
        _ => visit(&latin_bytes(&value)?),
    }
    Ok(())
}

/// What a request says of the answer that it wants, or has: nothing in most requests.
pub(super) struct Wanted(Vec<(&'static str, Vec<u8>)>);

impl Wanted {
    /// `had` is what stands in `If-None-Match`.
    pub(super) fn of(environ: &Bound<'_, PyDict>, had: Option<Wire<'_>>) -> PyResult<Self> {
        let py = environ.py();
        let mut found = Vec::new();
        if let Some(had) = had {
            found.push(("if-none-match", had.bytes()?.into_owned()));
        }
        for (name, key) in [
            ("if-modified-since", intern!(py, "HTTP_IF_MODIFIED_SINCE")),
            ("range", intern!(py, "HTTP_RANGE")),
        ] {
            if let Some(value) = wire(environ, key)? {
                found.push((name, value.bytes()?.into_owned()));
            }
        }
        // It means nothing without a range.
        if let Some(("range", _)) = found.last()
            && let Some(value) = wire(environ, intern!(py, "HTTP_IF_RANGE"))?
        {
            found.push(("if-range", value.bytes()?.into_owned()));
        }
        Ok(Self(found))
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn fields(&self) -> &[(&'static str, Vec<u8>)] {
        &self.0
    }
}
