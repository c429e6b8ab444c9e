//! The engine's errors, as Python raises them.

use larder_core::ErrorKind;
use pyo3::exceptions::{PyNotImplementedError, PyOSError, PyTypeError, PyValueError};
use pyo3::prelude::*;

/// The engine's errors by Python's names: a setting is a `ValueError`, a counter that is none a
/// `TypeError`, what a store cannot do a `NotImplementedError`, a store that fails an `OSError`.
pub(crate) fn raise(error: larder_core::Error) -> PyErr {
    match error.kind() {
        ErrorKind::Config => PyValueError::new_err(error.to_string()),
        ErrorKind::NotACounter | ErrorKind::Codec => PyTypeError::new_err(error.to_string()),
        ErrorKind::Unsupported => PyNotImplementedError::new_err(error.to_string()),
        _ => PyOSError::new_err(error.to_string()),
    }
}
