//! A finished HTTP response as a value.

use pyo3::exceptions::PyValueError;
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
    plain: bool,
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
        headers.get_slice(0, headers.len())
    }

    /// Whether it can be sent as it is: status 200, its length among the headers, and no URL that is
    /// to be completed.
    #[getter]
    pub(crate) fn plain(&self) -> bool {
        self.plain
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
            + super::weight::BYTES_HEAD
            + self.body.as_bytes(py).len()
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let (headers, body) = (self.headers.bind(py).len(), self.body.as_bytes(py).len());
        format!("<Page {}, {headers} headers, {body} bytes>", self.status)
    }
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

/// Whether the length of the body is among the headers, and no URL that a server completes.
fn is_complete(headers: &Bound<'_, PyList>) -> bool {
    let mut length = false;
    for pair in headers.iter() {
        let Ok((name, _)) = pair.extract::<(Bound<'_, PyString>, Bound<'_, PyAny>)>() else {
            return false;
        };
        let Ok(name) = name.to_str() else {
            return false;
        };
        if name.eq_ignore_ascii_case("location") || name.eq_ignore_ascii_case("content-location") {
            return false;
        }
        length |= name.eq_ignore_ascii_case("content-length");
    }
    length
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
        let plain = status == 200 && is_complete(&headers);
        let (headers, body) = (headers.unbind(), body.unbind());
        Self {
            status,
            headers,
            body,
            plain,
        }
    }
}
