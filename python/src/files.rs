//! Files for the compat dialect: a directory as Flask-Caching's users configure it.

use std::path::PathBuf;

use larder_core::AnyStore;
use larder_file::{FileEvent, Files};
use pyo3::prelude::*;

use crate::clock::process_clock;
use crate::codec::PyCodec;
use crate::engine::Engine;
use crate::errors::raise;
use crate::events::call;
use crate::key::named;
use crate::packing::Packing;

/// The entries of one namespace in a directory.
#[pyclass(frozen, module = "flask_larder._native")]
pub struct FileStore {
    store: Files<PyCodec>,
    engine: Py<Engine>,
}

#[pymethods]
impl FileStore {
    /// A directory with at most `threshold` entries, 0 for any number, that take `size` bytes at most,
    /// in files of this `mode`. It is made if there is none.
    #[new]
    #[expect(clippy::too_many_arguments, reason = "keywords of a Python call")]
    #[pyo3(signature = (directory, *, namespace, packing, threshold, size, mode, max_value,
        on_event=None))]
    fn new(
        py: Python<'_>,
        directory: PathBuf,
        namespace: &str,
        packing: &Packing,
        threshold: u64,
        size: u64,
        mode: u32,
        max_value: usize,
        on_event: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let mut builder = Files::builder(directory)
            .namespace(namespace)
            .packing(packing.0.clone())
            .threshold(threshold)
            .size(size)
            .mode(mode)
            .max_value(max_value)
            .clock(process_clock());
        if let Some(callback) = on_event.as_ref().map(|callback| callback.clone_ref(py)) {
            builder = builder.observer(move |event: &FileEvent| tell(&callback, event));
        }
        let store = builder
            .build(PyCodec::new(packing.0.seals()))
            .map_err(raise)?;
        let engine = Engine::build(AnyStore::new(store.clone()), max_value, on_event);
        Ok(Self {
            store,
            engine: Py::new(py, engine)?,
        })
    }

    /// The engine over these entries.
    #[getter]
    fn engine(&self, py: Python<'_>) -> Py<Engine> {
        self.engine.clone_ref(py)
    }

    /// The file that the entry of a key lies in, if there is one.
    fn file_of(&self, key: &Bound<'_, PyAny>) -> PyResult<PathBuf> {
        Ok(self.store.file_of(&named(key)?))
    }
}

/// Tells Python what happened to the directory.
fn tell(callback: &Py<PyAny>, event: &FileEvent) {
    match event {
        FileEvent::PurgesLost(_) | FileEvent::Emptied => {
            call(callback, "store-replaced", None, &event.to_string());
        }
        FileEvent::Unreadable(file, what) => {
            let file = file.display().to_string();
            call(callback, "unreadable", Some(file), &what.to_string());
        }
        _ => {}
    }
}
