//! Values as bytes, for stores outside the process.
//!
//! Plain data goes through the safe codec of `docs/FORMAT.md`, straight from the objects and straight
//! into them. Everything else is a pickle, and only where every entry is sealed.

mod check;
mod read;
mod write;

use std::fmt;

use larder_core::codec::{Codec, Item, Reader, Safe, Writer};
use larder_core::{Error, ErrorKind, Result};
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyModule};

use crate::value::{NotKept, Outward, PyValue};

pub(crate) use read::build;
pub(crate) use write::{magnitude, surrogates};

/// The name under which a pickle stands in the safe codec.
const PICKLE: &str = "pickle";

/// The codec of the Flask face. It has the number of the safe codec, for it writes nothing else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PyCodec {
    sealed: bool,
    strangers: bool,
}

impl PyCodec {
    /// A codec; `sealed` says whether every entry that reaches it was sealed, and every one that it
    /// writes will be. Without a seal it neither makes nor loads a pickle.
    pub(crate) const fn new(sealed: bool) -> Self {
        Self {
            sealed,
            strangers: false,
        }
    }

    /// The codec, for a store whose values other programs write as Flask-Caching does: integers in
    /// decimal digits, and bytes as they are. A pickle of theirs is not loaded.
    pub(crate) const fn reading_strangers(mut self) -> Self {
        self.strangers = true;
        self
    }

    /// The bytes of a pickle that was made in this process. What is plain data after all, and was
    /// pickled for the sake of what it shares, goes the safe way.
    fn encode_pickled(
        self,
        py: Python<'_>,
        pickled: &crate::value::Pickled,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let start = out.len();
        let mut refused = write::not_plain(pickled.type_name());
        if pickled.is_plain_container() {
            let limit = 16 * pickled.with_bytes(py, <[u8]>::len) + write::SLACK;
            let object = pickled.load(py).map_err(failed);
            refused = match object.and_then(|object| write::value(&object, limit, out)) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            out.truncate(start);
        }
        if !self.sealed {
            return Err(refused);
        }
        pickled.with_bytes(py, |bytes| put_pickle(bytes, out))
    }

    fn encode_object(
        self,
        object: &Bound<'_, PyAny>,
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let start = out.len();
        let refused = match write::value(object, limit, out) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        out.truncate(start);
        if !self.sealed {
            return Err(refused);
        }
        let pickled = crate::value::Pickled::dump(object).map_err(not_kept)?;
        pickled.with_bytes(object.py(), |bytes| put_pickle(bytes, out))
    }
}

fn put_pickle(bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let mut writer = Writer::new(out);
    writer.opaque(PICKLE, bytes);
    writer.finish()
}

impl Codec<PyValue> for PyCodec {
    fn id(&self) -> u8 {
        Safe::ID
    }

    fn encode(&self, value: &PyValue, out: &mut Vec<u8>) -> Result<()> {
        match value.outward() {
            Outward::Coded(payload) => {
                out.extend_from_slice(payload);
                Ok(())
            }
            Outward::Count(count) => {
                let mut writer = Writer::new(out);
                writer.int(count);
                writer.finish()
            }
            Outward::Object(object) => {
                let limit = write::limit(larder_core::Value::weight(value));
                attached(|py| self.encode_object(object.bind(py), limit, out))
            }
            Outward::Pickled(pickled) => attached(|py| self.encode_pickled(py, pickled, out)),
        }
    }

    fn decode(&self, payload: &[u8]) -> Result<PyValue> {
        let mut reader = Reader::new(payload);
        if let Item::Opaque { codec, bytes } = reader.item()? {
            reader.finish()?;
            return self.decode_pickle(codec, bytes);
        }
        let needs_python = check::payload(payload)?;
        if let Some(count) = count(payload) {
            return Ok(PyValue::counted(count));
        }
        if needs_python {
            attached(|py| build(py, payload).map(drop).map_err(failed))?;
        }
        Ok(PyValue::coded(payload))
    }

    fn decode_foreign(&self, bytes: &[u8]) -> Option<PyValue> {
        (self.strangers && bytes.first() != Some(&PICKLED)).then(|| stranger(bytes))?
    }
}

/// What Flask-Caching writes in front of a pickle.
const PICKLED: u8 = b'!';

/// What bytes mean that another program wrote: the integer that Python reads in them, else themselves.
fn stranger(bytes: &[u8]) -> Option<PyValue> {
    let mut payload = Vec::with_capacity(bytes.len() + 10);
    let numeric = |&byte: &u8| byte.is_ascii_digit() || b"+-_ \t\n\r\x0b\x0c".contains(&byte);
    let digits = bytes.iter().any(u8::is_ascii_digit) && bytes.iter().all(numeric);
    if digits && let Ok(()) = attached(|py| read_int(py, bytes, &mut payload)) {
        return Some(PyValue::coded(&payload));
    }
    payload.clear();
    let mut writer = Writer::new(&mut payload);
    writer.bytes(bytes);
    writer.finish().ok()?;
    Some(PyValue::coded(&payload))
}

fn read_int(py: Python<'_>, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let number = py
        .get_type::<PyInt>()
        .call1((PyBytes::new(py, bytes),))
        .map_err(failed)?;
    write::value(&number, usize::MAX, out)
}

impl PyCodec {
    fn decode_pickle(self, codec: &str, bytes: &[u8]) -> Result<PyValue> {
        if codec != PICKLE {
            let detail = format!("the payload is of codec {codec:?} (only {PICKLE:?} is known)");
            return Err(Error::new(ErrorKind::Codec, detail));
        }
        if !self.sealed {
            let detail = "a pickle in an entry that was not sealed is not loaded \
                          (set SECRET_KEY or CACHE_SECRET)";
            return Err(Error::new(ErrorKind::Codec, detail));
        }
        Ok(PyValue::unsealed(bytes))
    }
}

/// The number of a payload that is one integer of 64 bits.
pub(crate) fn count(payload: &[u8]) -> Option<i64> {
    match Reader::new(payload).item() {
        Ok(Item::Int(count)) => Some(count),
        _ => None,
    }
}

/// Whether the value of a payload is of a type that can be changed.
pub(crate) fn is_mutable(payload: &[u8]) -> bool {
    matches!(
        Reader::new(payload).item(),
        Ok(Item::List(_) | Item::Map(_) | Item::Set(_) | Item::ByteArray(_))
    )
}

/// Whether the value of a payload is a page.
pub(crate) fn is_page(payload: &[u8]) -> bool {
    matches!(Reader::new(payload).item(), Ok(Item::Page { .. }))
}

/// Runs `work` with the interpreter, which may be shutting down.
fn attached<T>(work: impl for<'py> FnOnce(Python<'py>) -> Result<T>) -> Result<T> {
    Python::try_attach(work).unwrap_or_else(|| {
        Err(Error::new(
            ErrorKind::Codec,
            "the interpreter is shutting down",
        ))
    })
}

/// An exception as the engine's error.
fn failed(error: impl Into<PyErr>) -> Error {
    let error = error.into();
    Error::new(ErrorKind::Codec, error.to_string()).caused_by(error)
}

fn not_kept(refused: NotKept) -> Error {
    match refused {
        NotKept::Raised(error) => failed(error),
        other => Error::new(ErrorKind::Codec, other.to_string()),
    }
}

/// A value encoded and decoded.
pub(crate) fn round_trip(value: &PyValue, sealed: bool) -> Result<PyValue> {
    let codec = PyCodec::new(sealed);
    let mut bytes = Vec::new();
    codec.encode(value, &mut bytes)?;
    codec.decode(&bytes)
}

fn raise(error: impl fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// The bytes of an object of plain data in the safe codec.
#[pyfunction]
fn encode<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    let mut out = Vec::new();
    write::value(object, usize::MAX, &mut out).map_err(raise)?;
    Ok(PyBytes::new(object.py(), &out))
}

/// The object of bytes in the safe codec.
#[pyfunction]
fn decode<'py>(py: Python<'py>, payload: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    check::payload(payload).map_err(raise)?;
    build(py, payload).map_err(|error| {
        if error.is_instance_of::<PyException>(py) {
            raise(failed(error))
        } else {
            error
        }
    })
}

pub(crate) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(encode, m)?)?;
    m.add_function(wrap_pyfunction!(decode, m)?)
}
