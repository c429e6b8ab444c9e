//! How entries are packed for the stores outside the process.

use larder_core::codec::Packing as CorePacking;
use pyo3::prelude::*;

/// Under which secrets entries are sealed: the first one seals, any opens. Without a secret entries
/// have a checksum, and nothing in them is unpickled. Values of more than `compress` bytes are
/// compressed.
#[pyclass(frozen, module = "flask_larder._native")]
#[derive(Clone, Debug)]
pub struct Packing(pub(crate) CorePacking);

#[pymethods]
impl Packing {
    #[new]
    #[pyo3(signature = (secrets=Vec::new(), compress=None))]
    fn new(secrets: Vec<Vec<u8>>, compress: Option<usize>) -> Self {
        let packing = CorePacking::new().secrets(secrets);
        Self(match compress {
            Some(above) => packing.compress(above),
            None => packing,
        })
    }

    /// Whether every entry is sealed.
    #[getter]
    fn seals(&self) -> bool {
        self.0.seals()
    }
}
