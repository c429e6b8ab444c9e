//! Hash methods, as Flask-Caching takes them: constructors like those of `hashlib`.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCFunction, PyString};
use sha2::Digest;

/// A hash method. The usual ones are computed here; any other is called.
pub(crate) enum Method {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Called(Py<PyAny>),
}

impl Method {
    /// The method that `constructor` is: one of `hashlib`'s own, or something to call with the data.
    pub(crate) fn of(constructor: &Bound<'_, PyAny>) -> PyResult<Self> {
        let hashlib = constructor.py().import("hashlib")?;
        let known = [
            ("sha224", Self::Sha224),
            ("sha256", Self::Sha256),
            ("sha384", Self::Sha384),
            ("sha512", Self::Sha512),
        ];
        // What somebody put in the place of a function of hashlib is none that is built in.
        let built_in = constructor.is_instance_of::<PyCFunction>();
        for (name, method) in known {
            if built_in && hashlib.getattr(name)?.is(constructor) {
                return Ok(method);
            }
        }
        Ok(Self::Called(constructor.clone().unbind()))
    }

    /// What `take` makes of the digest of `data`.
    pub(crate) fn digest<T>(
        &self,
        py: Python<'_>,
        data: &[u8],
        take: impl FnOnce(&[u8]) -> T,
    ) -> PyResult<T> {
        Ok(match self {
            Self::Sha224 => take(&sha2::Sha224::digest(data)),
            Self::Sha256 => take(&sha2::Sha256::digest(data)),
            Self::Sha384 => take(&sha2::Sha384::digest(data)),
            Self::Sha512 => take(&sha2::Sha512::digest(data)),
            Self::Called(constructor) => {
                let hash = constructor.bind(py).call1((PyBytes::new(py, data),))?;
                let digest = hash.call_method0(intern!(py, "digest"))?;
                take(digest.cast::<PyBytes>()?.as_bytes())
            }
        })
    }

    /// Appends the digest of `data` to a text, in lower-case hexadecimal digits.
    pub(crate) fn write_hex(&self, py: Python<'_>, data: &[u8], text: &mut String) -> PyResult<()> {
        if let Self::Called(constructor) = self {
            let hash = constructor.bind(py).call1((PyBytes::new(py, data),))?;
            let digits = hash.call_method0(intern!(py, "hexdigest"))?;
            text.push_str(&digits.cast::<PyString>()?.to_cow()?);
            return Ok(());
        }
        self.digest(py, data, |digest| {
            for byte in digest {
                text.push(digit(byte >> 4));
                text.push(digit(byte & 15));
            }
        })
    }

    /// The callable that the garbage collector has to know of.
    pub(crate) fn called(&self) -> Option<&Py<PyAny>> {
        match self {
            Self::Called(constructor) => Some(constructor),
            _ => None,
        }
    }
}

fn digit(value: u8) -> char {
    char::from(b"0123456789abcdef"[usize::from(value)])
}
