//! Why an object is not kept.

use std::fmt;

use larder_core::Reason;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

/// Why an object is served and not kept.
pub(crate) enum NotKept {
    /// It can be used once only: what it is, and its type.
    Stream(&'static str, String),
    /// It cannot be copied: its type, and what pickle says.
    Unpicklable(String, String),
    /// The interpreter was asked to stop while the object was pickled, or something else that is no
    /// failure of the object: it belongs to the caller.
    Raised(PyErr),
}

impl NotKept {
    /// The engine's reason.
    ///
    /// # Errors
    ///
    /// The exception that is the caller's.
    pub(crate) fn into_reason(self) -> PyResult<Reason> {
        match self {
            Self::Raised(error) => Err(error),
            Self::Stream(..) => Ok(Reason::Stream),
            Self::Unpicklable(..) => Ok(Reason::Uncodable(self.to_string().into())),
        }
    }

    pub(crate) fn into_py_err(self) -> PyErr {
        match self {
            Self::Raised(error) => error,
            other => PyTypeError::new_err(other.to_string()),
        }
    }
}

impl From<PyErr> for NotKept {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

impl fmt::Display for NotKept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(what, name) => {
                write!(
                    f,
                    "{what} can be used once only ({name}); return its content"
                )
            }
            Self::Unpicklable(name, message) => write!(
                f,
                "a value of type {name} cannot be kept apart from its other users: {message} \
                 (return plain data, or something that can be pickled)"
            ),
            Self::Raised(error) => error.fmt(f),
        }
    }
}
