//! Settings that are read by the same code in both faces.

use larder_stores::{StoreUrl, parse_size};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::errors::raise;

/// The number of bytes that a text such as "64MB" means; `name` is the option that an error names.
#[pyfunction]
fn bytes_in(name: &str, text: &str) -> PyResult<u64> {
    // Where every error is one of a setting, the words for that kind say nothing.
    parse_size(name, text).map_err(|error| PyValueError::new_err(error.detail().to_owned()))
}

/// The name of the store that a URL names: "memory", "shared", "redis" or "null".
#[pyfunction]
fn store_of(url: &str) -> PyResult<&'static str> {
    Ok(StoreUrl::parse(url).map_err(raise)?.store())
}

pub(crate) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(bytes_in, m)?)?;
    m.add_function(wrap_pyfunction!(store_of, m)?)
}
