//! Why an argument cannot be part of a key.

use std::fmt;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::signature::NoKey;

/// Why an object cannot be part of a key.
pub(crate) enum Unkeyable {
    /// Nothing but its address tells an object of this type from another one.
    Address(String),
    /// A function or class that is not found under its name, so that others may have that name too.
    Unnamed(String),
    /// An object of this type failed to say what it consists of.
    Failed(String, String),
    /// Containers are nested too deep, or contain themselves.
    Deep,
    /// The arguments are more than a key is made of.
    Large,
    /// The exception is the user's.
    Raised(PyErr),
}

impl Unkeyable {
    pub(crate) fn into_no_key(self) -> NoKey {
        match self {
            Self::Raised(error) => NoKey::Raised(error),
            other => NoKey::Unkeyable(other.to_string()),
        }
    }

    pub(crate) fn into_py_err(self) -> PyErr {
        match self {
            Self::Raised(error) => error,
            other => PyTypeError::new_err(other.to_string()),
        }
    }
}

impl From<PyErr> for Unkeyable {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

impl fmt::Display for Unkeyable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(name) => write!(
                f,
                "an object of type {name} has no content to make a key of (give the class a method \
                 __caching_id__, make it a dataclass, or pass plain data)"
            ),
            Self::Unnamed(name) => write!(
                f,
                "{name} is not found under its name, so that a key cannot name it (define it at the \
                 top of a module)"
            ),
            Self::Failed(name, message) => write!(
                f,
                "an object of type {name} does not say what it consists of: {message} (give the \
                 class a method __caching_id__)"
            ),
            Self::Deep => write!(
                f,
                "containers are nested more than {} deep, or contain themselves (pass flatter data)",
                super::NESTING
            ),
            Self::Large => write!(
                f,
                "the arguments are larger than {} MiB (pass a name or a number of the data instead)",
                super::LARGEST >> 20
            ),
            Self::Raised(error) => error.fmt(f),
        }
    }
}
