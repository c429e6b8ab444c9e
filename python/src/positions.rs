//! The arguments of a call that have a position.

use pyo3::Borrowed;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// Arguments in their order: in a tuple, or as the interpreter hands them over.
pub(crate) trait Positions<'py> {
    fn count(&self) -> usize;

    /// The argument in this place, which is below the count.
    fn at(&self, place: usize) -> PyResult<Borrowed<'_, 'py, PyAny>>;
}

impl<'py> Positions<'py> for Bound<'py, PyTuple> {
    fn count(&self) -> usize {
        self.len()
    }

    fn at(&self, place: usize) -> PyResult<Borrowed<'_, 'py, PyAny>> {
        self.get_borrowed_item(place)
    }
}
