//! Keys, as Python hands them over.

use std::borrow::Cow;

use larder_core::Kind;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::arguments;

/// A key of the engine: what a view, a function or a fragment is stored under.
#[pyclass(frozen, eq, hash, module = "flask_larder._native")]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key(pub(crate) larder_core::Key);

/// How the keys of memoized calls begin where people read them.
const MEMOIZE: &[u8] = b"memoize/";

#[pymethods]
impl Key {
    /// The key that `text` names: a memoized call if it begins with "memoize/", else a key that
    /// people chose, a view or a fragment.
    #[new]
    fn new(text: &Bound<'_, PyAny>) -> PyResult<Self> {
        named(text).map(Self)
    }

    /// What people see: the base key, without the variant.
    #[getter]
    fn text<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        text_of(py, &self.0)
    }

    /// The key with these values in its variant besides what is there.
    fn with_values(&self, values: Vec<Bound<'_, PyAny>>) -> PyResult<Self> {
        let mut writer = larder_core::KeyWriter::new();
        writer.bytes(self.0.variant()).tuple(values.len());
        for value in &values {
            arguments::write(&mut writer, value).map_err(arguments::Unkeyable::into_py_err)?;
        }
        Ok(Self(self.0.with_variant(&writer)))
    }

    /// Whether the key has a variant.
    #[getter]
    fn varies(&self) -> bool {
        !self.0.is_base()
    }

    /// The variant as text for people.
    #[getter]
    fn variant(&self) -> String {
        self.0.shown_variant()
    }

    /// 32 hexadecimal digits that tell this key from others, variants of one base key included.
    #[getter]
    fn digest(&self) -> String {
        format!("{:032x}", self.0.digest())
    }

    fn __repr__(&self) -> String {
        format!("<Key {}>", self.0)
    }
}

/// The text of a key, as Python knows it: lone surrogates are kept.
fn bytes_of<'a>(text: &'a Bound<'_, PyAny>) -> PyResult<Cow<'a, [u8]>> {
    if let Ok(text) = text.cast::<PyString>() {
        if let Ok(text) = text.to_str() {
            return Ok(Cow::Borrowed(text.as_bytes()));
        }
        let wide = text.call_method1("encode", ("utf-8", "surrogatepass"))?;
        return Ok(Cow::Owned(wide.cast::<PyBytes>()?.as_bytes().to_vec()));
    }
    if let Ok(bytes) = text.cast::<PyBytes>() {
        return Ok(Cow::Borrowed(bytes.as_bytes()));
    }
    let kind = text.get_type().qualname()?;
    Err(PyTypeError::new_err(format!(
        "a key is a str, not {kind} (use str(...) on it)"
    )))
}

/// The engine's key that `text` names.
pub(crate) fn named(text: &Bound<'_, PyAny>) -> PyResult<larder_core::Key> {
    if let Ok(key) = text.cast::<Key>() {
        return Ok(key.get().0.clone());
    }
    Ok(named_bytes(&bytes_of(text)?))
}

/// The engine's key that these bytes name.
pub(crate) fn named_bytes(bytes: &[u8]) -> larder_core::Key {
    match bytes.strip_prefix(MEMOIZE) {
        Some(call) => larder_core::Key::new(Kind::Memoize, call),
        None => larder_core::Key::new(Kind::User, bytes),
    }
}

/// What people see of a key.
pub(crate) fn text_of<'py>(py: Python<'py>, key: &larder_core::Key) -> PyResult<Bound<'py, PyAny>> {
    let mut text = Vec::new();
    if key.kind() == Kind::Memoize {
        text.extend_from_slice(MEMOIZE);
    }
    text.extend_from_slice(key.base());
    match std::str::from_utf8(&text) {
        Ok(text) => Ok(PyString::new(py, text).into_any()),
        Err(_) => PyBytes::new(py, &text).call_method1("decode", ("utf-8", "surrogatepass")),
    }
}
